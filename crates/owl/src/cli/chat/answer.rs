//! One answer of a model, read as it arrives.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use owl_egress::EgressError;
use owl_wire::UpstreamError;
use owl_wire::chat::{ChatPiece, ChatStreamData, Usage};
use owl_wire::sse::{Event, SseParser};
use serde_json::Value;

/// The largest event of a stream that is read, in bytes.
const EVENT_LIMIT: usize = 8 * 1024 * 1024;

/// The largest answer that is read in one piece, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// What an answer has said so far.
#[derive(Debug)]
pub(in crate::cli) struct Answer {
    /// The text.
    pub(in crate::cli) content: String,
    /// What the model thought before.
    pub(in crate::cli) reasoning: String,
    /// Why it ended.
    pub(in crate::cli) finish_reason: Option<String>,
    /// The token counts.
    pub(in crate::cli) usage: Option<Usage>,
    /// What the conversation grew by, where tools were used.
    pub(in crate::cli) grown: Vec<Value>,
    asked: Instant,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            content: String::new(),
            reasoning: String::new(),
            finish_reason: None,
            usage: None,
            grown: Vec::new(),
            asked: Instant::now(),
            first: None,
            last: None,
        }
    }
}

impl Answer {
    pub(super) fn add(&mut self, piece: &ChatPiece) {
        self.content.push_str(&piece.content);
        self.reasoning.push_str(&piece.reasoning);
        self.finish_reason = piece.finish_reason.clone().or(self.finish_reason.take());
        self.usage = piece.usage.or(self.usage);
        if has_text(piece) {
            let now = Instant::now();
            self.first.get_or_insert(now);
            self.last = Some(now);
        }
    }

    /// From the question to the first token.
    pub(in crate::cli) fn seconds_to_first(&self) -> Option<f64> {
        self.first.map(|first| milliseconds(first - self.asked))
    }

    /// From the question to the last token.
    pub(in crate::cli) fn seconds(&self) -> Option<f64> {
        self.last.map(|last| milliseconds(last - self.asked))
    }

    /// How fast the tokens came once they began; unknown without token counts, or when all came at once.
    pub(in crate::cli) fn tokens_per_second(&self) -> Option<f64> {
        let tokens = self.usage?.completion_tokens.checked_sub(1)?;
        let seconds = (self.last? - self.first?).as_secs_f64();
        (tokens > 0 && seconds > 0.001).then(|| tokens as f64 / seconds)
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

fn has_text(piece: &ChatPiece) -> bool {
    !piece.content.is_empty() || !piece.reasoning.is_empty()
}

/// Why there is no answer, or only a part of one.
#[derive(Debug)]
pub(in crate::cli) enum AnswerError {
    /// The server answers with an error of its own.
    Refused { status: u16, message: String },
    /// The server says in the middle of its answer that it failed.
    Failed(String),
    /// The connection broke.
    Broken(EgressError),
    /// The stream ended, but the answer did not.
    Incomplete,
    /// The answer is not a chat completion.
    Format(String),
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, message } => write!(f, "it answered {status}: {message}"),
            Self::Failed(message) => write!(f, "it failed in the middle of its answer: {message}"),
            Self::Broken(error) => error.fmt(f),
            Self::Incomplete => f.write_str("the stream ended before the answer was complete"),
            Self::Format(reason) => write!(f, "its answer is not a chat completion: {reason}"),
        }
    }
}

/// Reads an answer, streamed or whole.
///
/// # Cancel safety
/// Dropping it ends the upstream's work at once.
#[derive(Debug)]
pub(in crate::cli) struct AnswerReader<B> {
    body: B,
    /// `None` once the stream has ended.
    parser: Option<SseParser>,
    events: VecDeque<Event>,
    /// An answer that was not streamed.
    whole: Option<ChatPiece>,
    finished: bool,
}

impl<B> AnswerReader<B>
where
    B: Body<Data = Bytes, Error = EgressError> + Unpin,
{
    /// Looks at the answer's head; of an answer that is not a stream it reads the whole.
    pub(in crate::cli) async fn open(response: Response<B>) -> Result<Self, AnswerError> {
        let status = response.status();
        let media = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_stream = media.is_some_and(|media| media.trim_start().starts_with("text/event-stream"));
        let mut body = response.into_body();
        if status.is_success() && is_stream {
            let parser = Some(SseParser::new(EVENT_LIMIT));
            return Ok(Self { body, parser, events: VecDeque::new(), whole: None, finished: false });
        }
        let read = Limited::new(&mut body, ANSWER_LIMIT).collect().await;
        let text = read.map_err(|error| AnswerError::Format(error.to_string()))?.to_bytes();
        let said = UpstreamError::read(&text);
        if !status.is_success() {
            let message = said.map_or_else(|| "it gives no reason".to_owned(), |error| error.message);
            return Err(AnswerError::Refused { status: status.as_u16(), message });
        }
        if let Some(error) = said {
            return Err(AnswerError::Failed(error.message));
        }
        let piece = ChatPiece::read(&text).map_err(|error| AnswerError::Format(error.to_string()))?;
        Ok(Self { body, parser: None, events: VecDeque::new(), whole: Some(piece), finished: true })
    }

    /// The next piece with a text; everything is added to `answer`. `None` at the end.
    pub(in crate::cli) async fn next_text(&mut self, answer: &mut Answer) -> Result<Option<ChatPiece>, AnswerError> {
        while let Some(piece) = self.next().await? {
            answer.add(&piece);
            if has_text(&piece) {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    async fn next(&mut self) -> Result<Option<ChatPiece>, AnswerError> {
        loop {
            if let Some(whole) = self.whole.take() {
                return Ok(Some(whole));
            }
            while let Some(event) = self.events.pop_front() {
                match ChatStreamData::read(&event.data) {
                    Ok(ChatStreamData::Piece(piece)) => {
                        // Some servers end without [DONE].
                        self.finished |= piece.finish_reason.is_some();
                        return Ok(Some(piece));
                    }
                    Ok(ChatStreamData::Done) => {
                        self.parser = None;
                        self.events.clear();
                        self.finished = true;
                    }
                    Ok(ChatStreamData::Error(error)) => return Err(AnswerError::Failed(error.message)),
                    // An event of a kind that chat completions do not have.
                    Err(_) if event.name.is_some() => {}
                    Err(error) => return Err(AnswerError::Format(error.to_string())),
                }
            }
            if self.parser.is_none() {
                return if self.finished { Ok(None) } else { Err(AnswerError::Incomplete) };
            }
            self.read_on().await?;
        }
    }

    async fn read_on(&mut self) -> Result<(), AnswerError> {
        match self.body.frame().await {
            Some(Ok(frame)) => {
                let (Ok(data), Some(parser)) = (frame.into_data(), &mut self.parser) else { return Ok(()) };
                let mut events = Vec::new();
                parser.push(&data, &mut events).map_err(|error| AnswerError::Format(error.to_string()))?;
                self.events.extend(events);
                Ok(())
            }
            Some(Err(error)) => Err(AnswerError::Broken(error)),
            None => {
                self.events.extend(self.parser.take().and_then(SseParser::finish));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    async fn read(status: u16, media: &str, body: &'static str) -> Result<Answer, String> {
        let body = Full::new(Bytes::from_static(body.as_bytes())).map_err(|never| match never {});
        let response = Response::builder().status(status).header(header::CONTENT_TYPE, media).body(body);
        let read = async {
            let mut answer = Answer::default();
            let mut reader = AnswerReader::open(response.expect("a response")).await?;
            while reader.next_text(&mut answer).await?.is_some() {}
            Ok::<_, AnswerError>(answer)
        };
        read.await.map_err(|error| error.to_string())
    }

    async fn check(status: u16, media: &str, body: &'static str, expect: Result<&str, &str>) {
        let found = read(status, media, body).await.map(|answer| answer.content);
        assert_eq!(found.as_deref().map_err(String::as_str), expect, "{body}");
    }

    const STREAM: &str = "text/event-stream; charset=utf-8";

    #[tokio::test]
    async fn streams_and_their_ends() {
        let whole = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\ndata: [DONE]\n\n";
        check(200, STREAM, whole, Ok("ab")).await;
        let without_done = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
        check(200, STREAM, without_done, Ok("a")).await;
        let broken = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        check(200, STREAM, broken, Err("the stream ended before the answer was complete")).await;
        check(200, STREAM, "event: ping\ndata: x\n\ndata: [DONE]", Ok("")).await;
        let failed = "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
        check(200, STREAM, failed, Err("it failed in the middle of its answer: out of memory")).await;
    }

    #[tokio::test]
    async fn answers_that_are_not_streamed() {
        const JSON: &str = "application/json";
        check(200, JSON, r#"{"choices":[{"message":{"content":"a"}}]}"#, Ok("a")).await;
        check(400, JSON, r#"{"error":{"message":"too long"}}"#, Err("it answered 400: too long")).await;
        check(503, JSON, "{}", Err("it answered 503: it gives no reason")).await;
        check(200, JSON, r#"{"detail":"no"}"#, Err("it failed in the middle of its answer: no")).await;
    }
}

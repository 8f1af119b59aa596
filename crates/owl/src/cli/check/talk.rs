//! A chat, whole and streamed, and the token counts at a stream's end.

use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use owl_egress::UpstreamBody;
use owl_wire::chat::{ChatMessage, ChatPiece, ChatRequest, ChatStreamData, Usage};
use owl_wire::sse::SseParser;

use super::call::{Answer, Caller, Trouble, media_type, read};
use super::report::{Examination, Finding, Step};

/// The path of chat completions, below the base URL.
pub(super) const CHAT: &str = "chat/completions";

/// The most tokens that the doctor asks for in a chat: enough for a model that thinks first.
const CHAT_TOKENS: u64 = 64;

/// The most tokens of the streamed answer: enough to measure a rate.
const STREAM_TOKENS: u64 = 128;

/// The largest event that is read, in bytes.
const EVENT_LIMIT: usize = 4 * 1024 * 1024;

/// So many pieces, within a twentieth of a time that is longer than [`COLLECTED_AFTER`], did not come one by one.
const COLLECTED_PIECES: usize = 8;
const COLLECTED_AFTER: Duration = Duration::from_secs(1);

/// Asks one question, first for a whole answer and then for a stream; `None` when the model does not answer.
pub(super) async fn talk(exam: &mut Examination, caller: &Caller<'_>, model: &str) -> Option<()> {
    exam.take(Step::Chat, async { (chat(caller, model).await, ()) }).await?;
    let usage = exam.take(Step::Streaming, async { streaming(caller, model).await }).await;
    if let Some(usage) = usage {
        exam.note(Step::Usage, usage);
    }
    Some(())
}

/// A request of one message.
pub(super) fn question(model: &str, content: serde_json::Value, tokens: u64) -> ChatRequest {
    let mut request = ChatRequest {
        model: model.to_owned(),
        messages: vec![ChatMessage { role: "user".to_owned(), content }],
        ..ChatRequest::default()
    };
    request.extra.insert("max_tokens".to_owned(), tokens.into());
    request
}

async fn chat(caller: &Caller<'_>, model: &str) -> Finding {
    let request = question(model, "Reply with one word: owl".into(), CHAT_TOKENS);
    let started = Instant::now();
    let answer = match caller.post(CHAT, request.to_bytes()).await {
        Ok(answer) => answer,
        Err(trouble) => return caller.trouble(trouble),
    };
    if !answer.status.is_success() {
        let finding = Finding::failed(format!("{}: {}", caller.quote(model), caller.tell(&answer)));
        return match chat_advice(&answer) {
            Some(advice) => finding.advise(advice),
            None => finding,
        };
    }
    let Some(piece) = read_chat(&answer) else {
        return Finding::failed(format!("{}: the answer is not a chat completion", caller.quote(model)));
    };
    let said = caller.quote(if piece.content.trim().is_empty() { &piece.reasoning } else { &piece.content });
    Finding::ok(format!("{}: {said:?} in {}", caller.quote(model), plain(started.elapsed())))
}

/// What a refused chat may mean.
fn chat_advice(answer: &Answer) -> Option<&'static str> {
    match answer.status.as_u16() {
        404 if answer.is_html() => Some("nothing answers at this path: look at baseUrl"),
        400 | 404 | 422 => Some("is this a model that chats? -m MODEL tries another"),
        401 | 403 => Some("listing models needs no such permission, chatting does: look at the credential"),
        429 => Some("the server limits how often it may be asked, or the account has no credit"),
        502..=504 => Some("the proxy in front of the server gets no answer from it"),
        500.. => Some("look at the server's log"),
        _ => None,
    }
}

/// The answer, when it is a chat completion at all.
pub(super) fn read_chat(answer: &Answer) -> Option<ChatPiece> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    body.get("choices")?.as_array().filter(|choices| !choices.is_empty())?;
    ChatPiece::read(&answer.body).ok()
}

/// Streams an answer; comes back with what it says of the token counts.
async fn streaming(caller: &Caller<'_>, model: &str) -> (Finding, Finding) {
    let mut request = question(model, "Count from 1 to 40, as digits, separated by blanks.".into(), STREAM_TOKENS);
    request.stream = true;
    request.include_usage = true;
    let first = stream_once(caller, &request).await;
    // A server that does not know stream_options refuses the request as a whole.
    let (outcome, refusal) = match first {
        Ok(Outcome::Refused(answer)) if matches!(answer.status.as_u16(), 400 | 422) => {
            request.include_usage = false;
            (stream_once(caller, &request).await, Some(caller.tell(&answer)))
        }
        other => (other, None),
    };
    let no_usage = || Finding::no("not known, without a stream");
    match outcome {
        Err(trouble) => (caller.trouble(trouble), no_usage()),
        Ok(Outcome::Refused(answer)) => (Finding::failed(caller.tell(&answer)), no_usage()),
        Ok(Outcome::NotAStream(kind)) => {
            let detail = format!("the server answered with {}, not with text/event-stream", caller.quote(&kind));
            (Finding::failed(detail).advise("does it, or a proxy in front of it, know `stream: true`?"), no_usage())
        }
        Ok(Outcome::Streamed(stream)) => {
            let usage = match (refusal, stream.usage) {
                (Some(told), _) => Finding::no(told),
                (None, Some(Usage { prompt_tokens, completion_tokens })) => {
                    Finding::ok(format!("{prompt_tokens} in, {completion_tokens} out"))
                }
                (None, None) => Finding::no("the server ignores stream_options.include_usage"),
            };
            (stream.finding(caller), usage)
        }
    }
}

/// What came of asking for a stream.
enum Outcome {
    Streamed(Stream),
    Refused(Answer),
    NotAStream(String),
}

/// A stream, read to its end.
#[derive(Default)]
struct Stream {
    /// The times of the pieces that hold text, from the request's start.
    pieces: Vec<Duration>,
    usage: Option<Usage>,
    error: Option<String>,
    is_done: bool,
    took: Duration,
}

async fn stream_once(caller: &Caller<'_>, request: &ChatRequest) -> Result<Outcome, Trouble> {
    let started = Instant::now();
    let work = async {
        let response = caller.open(CHAT, request.to_bytes()).await?;
        if !response.status().is_success() {
            return Ok(Outcome::Refused(read(response).await?));
        }
        match media_type(response.headers()) {
            Some(media) if media.eq_ignore_ascii_case("text/event-stream") => {}
            other => return Ok(Outcome::NotAStream(other.unwrap_or("no content type").to_owned())),
        }
        Stream::read(response.into_body(), started).await.map(Outcome::Streamed)
    };
    caller.in_time(work).await
}

impl Stream {
    async fn read(mut body: UpstreamBody, started: Instant) -> Result<Self, Trouble> {
        let mut stream = Self::default();
        let mut parser = SseParser::new(EVENT_LIMIT);
        let mut events = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Trouble::Broken(format!("the stream broke off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            parser.push(&data, &mut events).map_err(|error| Trouble::Broken(error.to_string()))?;
            for event in events.drain(..) {
                stream.take(&event.data, started.elapsed());
            }
        }
        if let Some(event) = parser.finish() {
            stream.take(&event.data, started.elapsed());
        }
        stream.took = started.elapsed();
        Ok(stream)
    }

    /// One event. What is not JSON is no failure of ours: odd servers send odd events.
    fn take(&mut self, data: &str, at: Duration) {
        match ChatStreamData::read(data) {
            Ok(ChatStreamData::Piece(piece)) => {
                if !piece.content.is_empty() || !piece.reasoning.is_empty() {
                    self.pieces.push(at);
                }
                self.usage = piece.usage.or(self.usage);
            }
            Ok(ChatStreamData::Error(error)) => self.error = Some(error.message),
            Ok(ChatStreamData::Done) => self.is_done = true,
            Err(_) => {}
        }
    }

    fn finding(&self, caller: &Caller<'_>) -> Finding {
        if let Some(error) = &self.error {
            return Finding::failed(format!("the server failed in the middle of the stream: {}", caller.quote(error)));
        }
        let (Some(first), Some(last)) = (self.pieces.first(), self.pieces.last()) else {
            return Finding::failed("the stream ended without any text");
        };
        let detail = format!("first token after {}, {}", plain(*first), self.rate(*last - *first));
        if self.pieces.len() >= COLLECTED_PIECES && self.took > COLLECTED_AFTER && (*last - *first) * 20 < self.took {
            return Finding::warn(format!("{detail}; all pieces came at once"))
                .advise("something collects the answer first; in nginx: proxy_buffering off");
        }
        if !self.is_done {
            return Finding::warn(format!("{detail}; the stream ended without [DONE]"))
                .advise("clients may wait for it, or take the answer for cut off");
        }
        Finding::ok(detail)
    }

    /// Tokens a second after the first: the server's count, or one for each piece.
    fn rate(&self, span: Duration) -> String {
        let counted = self.usage.map(|usage| usage.completion_tokens).filter(|tokens| *tokens > 0);
        let tokens = counted.unwrap_or(self.pieces.len() as u64).saturating_sub(1);
        let (unit, seconds) = (if counted.is_some() { "tokens" } else { "pieces" }, span.as_secs_f64());
        if tokens == 0 || seconds < 0.001 {
            return format!("{} {unit} at once", tokens + 1);
        }
        format!("{:.1} {unit} a second", tokens as f64 / seconds)
    }
}

fn plain(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

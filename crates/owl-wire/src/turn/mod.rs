//! One turn of a model: the bytes of a chat completion, streamed or whole, become events, whatever the server gets wrong.
//!
//! Only the first choice is read. What can be seen in the answer itself is always put right: missing and repeated ids and indexes
//! (`known.rs`), arguments as objects, `finish_reason: "stop"` behind calls, a stream without `[DONE]`, an error in the middle of a stream.
//! What stands in the text (`text.rs`, `calls.rs`) is looked for as [`Compat`] says.
//!
//! Nothing that a model says gets lost: what looks like a call and is none stays text.

mod calls;
mod chunk;
mod known;
mod text;

use std::fmt;

use serde_json::Value;

use self::known::KnownCalls;
use self::text::{TextPiece, TextReader};
use crate::answer::{Extra, FinishReason, Usage};
use crate::compat::Compat;
use crate::error::UpstreamError;
use crate::splice::BodyKind;
use crate::sse::{Event, SseParser};

/// What a turn says, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum TurnEvent {
    /// The next piece of the text.
    Text(String),
    /// The next piece of what the model thinks.
    Reasoning(String),
    /// The next piece of why it refuses to answer.
    Refusal(String),
    /// A call begins. Its index is the number of calls before it in this turn; the id may be missing at the server, here it never is,
    /// and no two of a turn are equal.
    CallBegan {
        /// Which call of the turn.
        index: usize,
        /// Its id.
        id: String,
        /// The function.
        name: String,
    },
    /// The next piece of a call's arguments: JSON, as the model wrote it.
    CallArguments {
        /// Which call of the turn.
        index: usize,
        /// The piece.
        piece: String,
    },
    /// Fields that Owl does not know.
    Extra(Extra),
    /// Why the turn ended. Comes once, as the last but `Usage`.
    Finish(FinishReason),
    /// What it took. Comes once, as the last; where the server does not count, it is an estimate that says so.
    Usage(Usage),
}

/// Why a turn cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnError {
    /// The server says so.
    Upstream(UpstreamError),
    /// The answer is not a chat completion, or ends in the middle.
    Broken(String),
}

impl fmt::Display for TurnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(error) => f.write_str(&error.message),
            Self::Broken(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for TurnError {}

/// The largest event, and the largest turn, in bytes.
const LIMIT: usize = 64 << 20;

/// How many bytes of text are taken for a token where the server does not count.
const BYTES_PER_TOKEN: u64 = 4;

/// Reads a turn from bytes as they arrive.
#[derive(Debug)]
pub struct TurnDecoder {
    kind: BodyKind,
    events: SseParser,
    whole: Vec<u8>,
    text: TextReader,
    calls: KnownCalls,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    /// `[DONE]` has come.
    done: bool,
    /// A choice has come.
    answered: bool,
    /// How much has come, in bytes.
    size: usize,
    /// How large the request was, in bytes.
    asked: u64,
}

impl TurnDecoder {
    /// `kind`: what the answer's `Content-Type` says. `tools`: the names of the functions that the request offers.
    pub fn new(kind: BodyKind, compat: &Compat, tools: &[String]) -> Self {
        Self {
            kind,
            events: SseParser::new(LIMIT),
            whole: Vec::new(),
            text: TextReader::new(compat, tools),
            calls: KnownCalls::default(),
            finish: None,
            usage: None,
            done: false,
            answered: false,
            size: 0,
            asked: 0,
        }
    }

    /// How large the request was, in bytes: where the server does not count, its tokens are estimated from that.
    #[must_use]
    pub fn asked_with(mut self, bytes: usize) -> Self {
        self.asked = bytes as u64;
        self
    }

    /// Reads the next bytes and appends what they say.
    ///
    /// # Errors
    /// [`TurnError`]; nothing more is read after it.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<TurnEvent>) -> Result<(), TurnError> {
        self.size = self.size.saturating_add(bytes.len());
        if self.size > LIMIT {
            return Err(TurnError::Broken(format!("the answer is larger than {LIMIT} bytes")));
        }
        if self.kind == BodyKind::Json {
            self.whole.extend_from_slice(bytes);
            return Ok(());
        }
        let mut events: Vec<Event> = Vec::new();
        self.events.push(bytes, &mut events).map_err(|error| TurnError::Broken(error.to_string()))?;
        events.iter().try_for_each(|event| self.event(&event.data, out))
    }

    /// The answer's bytes have ended.
    ///
    /// # Errors
    /// [`TurnError`]: there was no answer in them, or only its beginning.
    pub fn finish(&mut self, out: &mut Vec<TurnEvent>) -> Result<(), TurnError> {
        if self.kind == BodyKind::Json {
            let whole = std::mem::take(&mut self.whole);
            let whole: Value = serde_json::from_slice(&whole)
                .map_err(|error| TurnError::Broken(format!("the answer is not JSON: {error}")))?;
            self.value(&whole, out)?;
            self.done = self.answered;
        } else {
            let parser = std::mem::replace(&mut self.events, SseParser::new(LIMIT));
            if let Some(event) = parser.finish() {
                self.event(&event.data, out)?;
            }
        }
        if !self.answered || (self.finish.is_none() && !self.done) {
            let what = "the answer ended without saying why: the server broke it off";
            return Err(TurnError::Broken(what.to_owned()));
        }
        let mut pieces = Vec::new();
        self.text.finish(&mut pieces);
        self.tell(pieces, out);
        self.calls.finish(out);
        let calls = !self.calls.is_empty();
        // A turn that was cut off in the middle of a call says so.
        let finish = match self.finish.take().unwrap_or(FinishReason::Stop) {
            FinishReason::Stop | FinishReason::Other(_) if calls => FinishReason::ToolCalls,
            FinishReason::ToolCalls if !calls => FinishReason::Stop,
            said => said,
        };
        out.push(TurnEvent::Finish(finish));
        let estimate = Usage {
            input: self.asked.div_ceil(BYTES_PER_TOKEN),
            output: self.text.seen().div_ceil(BYTES_PER_TOKEN),
            estimated: true,
            ..Usage::default()
        };
        out.push(TurnEvent::Usage(self.usage.unwrap_or(estimate)));
        Ok(())
    }

    fn event(&mut self, data: &str, out: &mut Vec<TurnEvent>) -> Result<(), TurnError> {
        let data = data.trim();
        if data.is_empty() || self.done {
            return Ok(());
        }
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let value: Value = serde_json::from_str(data)
            .map_err(|error| TurnError::Broken(format!("an event of the answer is not JSON: {error}")))?;
        self.value(&value, out)
    }

    fn value(&mut self, value: &Value, out: &mut Vec<TurnEvent>) -> Result<(), TurnError> {
        if let Some(error) = UpstreamError::from_value(value) {
            return Err(TurnError::Upstream(error));
        }
        // Some servers count in every chunk: the last is the sum.
        self.usage = chunk::usage(value).or(self.usage);
        let choice = chunk::first_choice(value);
        let message = choice.map_or(&Value::Null, chunk::message);
        let extra = chunk::extra(value, choice, message);
        if extra != Extra::default() {
            out.push(TurnEvent::Extra(extra));
        }
        let Some(choice) = choice else { return Ok(()) };
        self.answered = true;
        if let Some(reasoning) = chunk::reasoning(message) {
            self.text.count(reasoning);
            out.push(TurnEvent::Reasoning(reasoning.to_owned()));
        }
        let text = chunk::text(&message["content"]);
        if !text.is_empty() {
            let mut pieces = Vec::new();
            self.text.push(&text, &mut pieces);
            self.tell(pieces, out);
        }
        if let Some(refusal) = message["refusal"].as_str().filter(|text| !text.is_empty()) {
            out.push(TurnEvent::Refusal(refusal.to_owned()));
        }
        for call in chunk::calls(message) {
            self.text.count(&call.arguments);
            self.calls.piece(call, out);
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.finish = Some(FinishReason::from(reason));
        }
        Ok(())
    }

    fn tell(&mut self, pieces: Vec<TextPiece>, out: &mut Vec<TurnEvent>) {
        for piece in pieces {
            match piece {
                TextPiece::Text(text) => out.push(TurnEvent::Text(text)),
                TextPiece::Reasoning(text) => out.push(TurnEvent::Reasoning(text)),
                TextPiece::Call { name, arguments } => self.calls.whole(name, &arguments, out),
            }
        }
    }
}

#[cfg(test)]
mod tests;

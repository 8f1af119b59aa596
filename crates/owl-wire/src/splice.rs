//! The model's name in an answer that streams past: replaced where the two sides call it differently, in one pass.
//!
//! [`ModelSplicer`] looks at the string values at `model`, `response.model` and `message.model` of each JSON document
//! (the whole body, or the data of each server-sent event) and replaces those that are exactly the upstream's name.
//! Every other byte leaves as it came, chunk by chunk. Nothing is held back but the beginning of a value that may still
//! turn out to be the name: at most six bytes for each byte of the name.
//!
//! A document that is not JSON, or nests deeper than [`crate::json::MAX_DEPTH`], passes untouched from the first byte
//! that shows it; nothing can be said about bytes that have already left. UTF-8 is not checked: invalid bytes pass.

use std::fmt;

use bytes::Bytes;

use crate::json::{self, Nesting, count_digits, string_stop};

/// How the documents lie in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// The body is one JSON document.
    Json,
    /// The body is a stream of server-sent events, each with a document of its own.
    EventStream,
}

impl BodyKind {
    /// What a `Content-Type` value says; `None` when the body cannot have a model's name that is Owl's to change.
    pub fn of_content_type(value: &str) -> Option<Self> {
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/event-stream" => Some(Self::EventStream),
            "application/json" => Some(Self::Json),
            other if other.ends_with("+json") => Some(Self::Json),
            _ => None,
        }
    }
}

/// Replaces one model's name by another in a body that arrives in chunks.
///
/// For each chunk that goes in, one comes out: the same `Bytes` unless a name ends in it or may begin at its end.
#[derive(Clone)]
pub struct ModelSplicer {
    /// `None` for a body that is one document, and when there is nothing to do.
    framing: Option<Framing>,
    document: Document,
}

impl fmt::Debug for ModelSplicer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelSplicer").finish_non_exhaustive()
    }
}

impl ModelSplicer {
    /// Replaces `upstream_name` by `client_name`. When they are the same, everything passes untouched.
    pub fn new(kind: BodyKind, upstream_name: &str, client_name: &str) -> Self {
        let names = Names { upstream: upstream_name.into(), replacement: json::encode(client_name).into() };
        let mut document = Document::new(names);
        let mut framing = (kind == BodyKind::EventStream).then(Framing::default);
        if upstream_name == client_name {
            document.state = State::Inert;
            framing = None;
        }
        Self { framing, document }
    }

    /// Takes the next chunk and returns what can leave now; empty when all of it may still be part of the name.
    pub fn push(&mut self, chunk: Bytes) -> Bytes {
        let mut edit = Edit::default();
        match &mut self.framing {
            None => self.document.feed(&chunk, 0, chunk.len(), &mut edit),
            Some(framing) => framing.feed(&chunk, &mut self.document, &mut edit),
        }
        let held_from = self.document.hold_back(&chunk, &mut edit);
        edit.finish(chunk, held_from)
    }

    /// The body has ended: what was held back, usually nothing.
    pub fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.document.held).into()
    }
}

/// What changes in one chunk.
#[derive(Default)]
struct Edit {
    /// The new chunk up to `copied`; empty while nothing has changed.
    rebuilt: Vec<u8>,
    /// How much of the chunk is already in `rebuilt`, or replaced by something there.
    copied: usize,
}

impl Edit {
    fn replace(&mut self, chunk: &[u8], from: usize, to: usize, new: &[u8]) {
        if self.rebuilt.capacity() == 0 {
            self.rebuilt.reserve(chunk.len() + new.len());
        }
        self.rebuilt.extend_from_slice(&chunk[self.copied..from]);
        self.rebuilt.extend_from_slice(new);
        self.copied = to;
    }

    fn finish(mut self, mut chunk: Bytes, held_from: usize) -> Bytes {
        if self.rebuilt.is_empty() {
            // Nothing was replaced, so nothing is copied.
            chunk.truncate(held_from);
            return chunk;
        }
        self.rebuilt.extend_from_slice(&chunk[self.copied..held_from]);
        self.rebuilt.into()
    }
}

#[derive(Clone)]
struct Names {
    upstream: Box<str>,
    /// The client's name as a JSON token.
    replacement: Box<[u8]>,
}

impl Names {
    /// Whether a string token is the upstream's name.
    fn is_upstream(&self, token: &[u8]) -> bool {
        let Some(inner) = token.get(1..token.len() - 1) else { return false };
        inner == self.upstream.as_bytes() || (inner.contains(&b'\\') && equals_decoded(inner, &self.upstream))
    }

    /// Whether a string token that begins like this may still be it.
    fn may_become_upstream(&self, begin: &[u8]) -> bool {
        let inner = &begin[1..];
        if inner.contains(&b'\\') {
            return inner.len() <= 6 * self.upstream.len();
        }
        self.upstream.as_bytes().starts_with(inner)
    }
}

fn equals_decoded(inner: &[u8], name: &str) -> bool {
    std::str::from_utf8(inner).is_ok_and(|inner| json::decode(inner).is_some_and(|value| value == name))
}

/// One JSON document that arrives in pieces: a strict parser that remembers no more than where it is.
#[derive(Clone)]
struct Document {
    state: State,
    nesting: Nesting,
    /// What the string is that is being read.
    role: Role,
    /// The key being read, if it matters.
    key: KeyBuffer,
    /// What the value that comes next is.
    next_value: Place,
    /// Whether the value of the top level that is being read is one that may have a `model` of its own.
    in_envelope: bool,
    /// Where, in this chunk, the value began that may be the name; 0 when it began in an earlier one.
    candidate_from: usize,
    /// The part of that value that came in earlier chunks.
    held: Vec<u8>,
    names: Names,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the document.
    Start,
    /// After `{`: a key or `}`.
    FirstKey,
    /// After `,` in an object.
    NextKey,
    Colon,
    Value,
    /// After `[`: a value or `]`.
    FirstElement,
    AfterValue,
    String,
    Escape,
    /// So many hexadecimal digits to come.
    Hex(u8),
    Number(Number),
    /// The letters to come of `true`, `false` or `null`.
    Literal(&'static [u8]),
    /// After the document.
    End,
    /// Not JSON, or not an object: no longer looked at.
    Inert,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

impl Number {
    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Exponent)
    }

    /// The state after `byte`; `None` when it is not part of the number.
    fn after(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus | Self::Integer, b'0'..=b'9') => Some(Self::Integer),
            (Self::Zero | Self::Integer, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Some(Self::E),
            (Self::E, b'+' | b'-') => Some(Self::Sign),
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Some(Self::Exponent),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A key that decides what the value is.
    Key,
    /// A key that does not matter here.
    OtherKey,
    /// A value that may be the name.
    Candidate,
    OtherValue,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Model,
    Envelope,
    Other,
}

impl Document {
    fn new(names: Names) -> Self {
        Self {
            state: State::Start,
            nesting: Nesting::default(),
            role: Role::OtherValue,
            key: KeyBuffer::default(),
            next_value: Place::Other,
            in_envelope: false,
            candidate_from: 0,
            held: Vec::new(),
            names,
        }
    }

    /// The next document begins. Nothing is held back between two documents.
    fn restart(&mut self) {
        self.state = State::Start;
        self.nesting.clear();
        self.role = Role::OtherValue;
        self.next_value = Place::Other;
        self.in_envelope = false;
    }

    /// Reads `chunk[at..end]`.
    fn feed(&mut self, chunk: &[u8], mut at: usize, end: usize, edit: &mut Edit) {
        while at < end {
            match self.state {
                State::Inert => return,
                State::String => {
                    let stop = string_stop(&chunk[..end], at);
                    if self.role == Role::Key {
                        self.key.extend(&chunk[at..stop]);
                    }
                    at = stop;
                    if at < end {
                        self.string_byte(chunk, at, edit);
                        at += 1;
                    }
                }
                State::Number(number) => at = self.number(number, &chunk[..end], at),
                state => {
                    let byte = chunk[at];
                    if !(matches!(byte, b' ' | b'\n' | b'\r' | b'\t') && state.allows_space()) {
                        self.token_byte(state, byte, at, edit);
                    }
                    at += 1;
                }
            }
        }
    }

    /// A byte of a string that is not plain: its end, an escape, or one that must not be there.
    fn string_byte(&mut self, chunk: &[u8], at: usize, edit: &mut Edit) {
        match chunk[at] {
            b'"' => self.end_string(chunk, at + 1, edit),
            b'\\' => {
                self.keep_key_byte(b'\\');
                self.state = State::Escape;
            }
            _ => self.give_up(edit),
        }
    }

    /// A byte outside plain runs of strings and outside numbers.
    fn token_byte(&mut self, state: State, byte: u8, at: usize, edit: &mut Edit) {
        match (state, byte) {
            (State::Start, b'{') => self.open(true, edit),
            (State::FirstKey | State::NextKey, b'"') => self.begin_key(),
            (State::FirstKey, b'}') | (State::FirstElement, b']') => self.close(),
            (State::Colon, b':') => self.state = State::Value,
            (State::Value | State::FirstElement, _) => self.begin_value(byte, at, edit),
            (State::AfterValue, b',') if self.nesting.innermost() == Some(true) => self.state = State::NextKey,
            (State::AfterValue, b',') => self.state = State::Value,
            (State::AfterValue, b'}') if self.nesting.innermost() == Some(true) => self.close(),
            (State::AfterValue, b']') if self.nesting.innermost() == Some(false) => self.close(),
            (State::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.keep_key_byte(byte);
                self.state = State::String;
            }
            (State::Escape, b'u') => {
                self.keep_key_byte(byte);
                self.state = State::Hex(4);
            }
            (State::Hex(left), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.keep_key_byte(byte);
                self.state = if left == 1 { State::String } else { State::Hex(left - 1) };
            }
            (State::Literal([letter, rest @ ..]), _) if *letter == byte => {
                self.state = if rest.is_empty() { State::AfterValue } else { State::Literal(rest) };
            }
            _ => self.give_up(edit),
        }
    }

    /// Goes on with a number; returns where it, or the chunk, ends.
    fn number(&mut self, number: Number, chunk: &[u8], at: usize) -> usize {
        let run = match number {
            Number::Integer | Number::Fraction | Number::Exponent => count_digits(&chunk[at..]),
            _ => 0,
        };
        let at = at + run;
        let Some(&byte) = chunk.get(at) else { return at };
        self.state = match number.after(byte) {
            Some(next) => State::Number(next),
            None if number.may_end() => {
                self.state = State::AfterValue;
                return at;
            }
            None => State::Inert,
        };
        at + 1
    }

    fn begin_key(&mut self) {
        self.state = State::String;
        let matters = self.nesting.depth() == 1 || (self.nesting.depth() == 2 && self.in_envelope);
        self.role = if matters { Role::Key } else { Role::OtherKey };
        self.key.clear();
    }

    fn begin_value(&mut self, byte: u8, at: usize, edit: &mut Edit) {
        let place = std::mem::replace(&mut self.next_value, Place::Other);
        if self.nesting.depth() == 1 {
            self.in_envelope = place == Place::Envelope;
        }
        match byte {
            b'"' => {
                self.state = State::String;
                self.role = if place == Place::Model { Role::Candidate } else { Role::OtherValue };
                self.candidate_from = at;
            }
            b'{' => self.open(true, edit),
            b'[' => self.open(false, edit),
            b'-' => self.state = State::Number(Number::Minus),
            b'0' => self.state = State::Number(Number::Zero),
            b'1'..=b'9' => self.state = State::Number(Number::Integer),
            b't' => self.state = State::Literal(b"rue"),
            b'f' => self.state = State::Literal(b"alse"),
            b'n' => self.state = State::Literal(b"ull"),
            _ => self.give_up(edit),
        }
    }

    fn open(&mut self, object: bool, edit: &mut Edit) {
        if !self.nesting.enter(object) {
            return self.give_up(edit);
        }
        self.state = if object { State::FirstKey } else { State::FirstElement };
    }

    fn close(&mut self) {
        self.nesting.leave();
        self.state = if self.nesting.depth() == 0 { State::End } else { State::AfterValue };
    }

    /// The string that is being read ends before `end`.
    fn end_string(&mut self, chunk: &[u8], end: usize, edit: &mut Edit) {
        self.state = State::AfterValue;
        match self.role {
            Role::Key => {
                self.next_value = self.key.place(self.nesting.depth());
                self.state = State::Colon;
            }
            Role::OtherKey => self.state = State::Colon,
            Role::Candidate => self.end_candidate(chunk, end, edit),
            Role::OtherValue => {}
        }
    }

    fn end_candidate(&mut self, chunk: &[u8], end: usize, edit: &mut Edit) {
        let from = self.candidate_from;
        self.role = Role::OtherValue;
        if self.held.is_empty() {
            if self.names.is_upstream(&chunk[from..end]) {
                edit.replace(chunk, from, end, &self.names.replacement);
            }
            return;
        }
        self.held.extend_from_slice(&chunk[from..end]);
        let is_upstream = self.names.is_upstream(&self.held);
        let token = if is_upstream { &*self.names.replacement } else { &*self.held };
        edit.replace(chunk, from, end, token);
        self.held.clear();
    }

    /// Not JSON: what was held back leaves, and nothing more is looked at until the next document.
    fn give_up(&mut self, edit: &mut Edit) {
        self.state = State::Inert;
        self.role = Role::OtherValue;
        if !self.held.is_empty() {
            // The value began in an earlier chunk, so nothing of this one has been changed yet.
            edit.rebuilt = std::mem::take(&mut self.held);
        }
    }

    /// A line of the document ends, which is white space for JSON.
    fn end_line(&mut self, edit: &mut Edit) {
        match self.state {
            State::Number(number) if number.may_end() => self.state = State::AfterValue,
            state if state.allows_space() || state == State::Inert => {}
            _ => self.give_up(edit),
        }
    }

    /// The chunk ends: keeps what may be the beginning of the name, and returns where that begins.
    fn hold_back(&mut self, chunk: &[u8], edit: &mut Edit) -> usize {
        if self.role != Role::Candidate {
            return chunk.len();
        }
        let from = std::mem::take(&mut self.candidate_from);
        self.held.extend_from_slice(&chunk[from..]);
        if self.names.may_become_upstream(&self.held) {
            return from;
        }
        self.role = Role::OtherValue;
        let held = std::mem::take(&mut self.held);
        if held.len() > chunk.len() - from {
            edit.replace(chunk, from, chunk.len(), &held);
        }
        chunk.len()
    }

    fn keep_key_byte(&mut self, byte: u8) {
        if self.role == Role::Key {
            self.key.extend(&[byte]);
        }
    }
}

impl State {
    fn allows_space(self) -> bool {
        match self {
            Self::Start | Self::FirstKey | Self::NextKey | Self::Colon => true,
            Self::Value | Self::FirstElement | Self::AfterValue | Self::End => true,
            Self::String | Self::Escape | Self::Hex(_) => false,
            Self::Number(_) | Self::Literal(_) | Self::Inert => false,
        }
    }
}

/// A key as written, as long as it may be one of the few that matter.
#[derive(Clone, Copy)]
struct KeyBuffer {
    bytes: [u8; Self::LIMIT],
    /// More than the limit: too long to be one of them.
    length: usize,
}

impl KeyBuffer {
    /// The longest key, `response`, with all its letters as escapes.
    const LIMIT: usize = 8 * 6;

    fn clear(&mut self) {
        self.length = 0;
    }

    fn extend(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        if let Some(free) = self.bytes.get_mut(self.length..end) {
            free.copy_from_slice(bytes);
        }
        self.length = end;
    }

    fn is(&self, name: &str) -> bool {
        let Some(key) = self.bytes.get(..self.length) else { return false };
        key == name.as_bytes() || (key.contains(&b'\\') && equals_decoded(key, name))
    }

    /// What the value of this key is, in an object at `depth`.
    fn place(&self, depth: usize) -> Place {
        if self.is("model") {
            Place::Model
        } else if depth == 1 && (self.is("response") || self.is("message")) {
            Place::Envelope
        } else {
            Place::Other
        }
    }
}

impl Default for KeyBuffer {
    fn default() -> Self {
        Self { bytes: [0; Self::LIMIT], length: 0 }
    }
}

/// The lines of an event stream: which bytes are data, and where events end.
#[derive(Clone, Default)]
struct Framing {
    line: Line,
    /// The last line ended with a carriage return, so that a line feed now belongs to it.
    after_return: bool,
}

#[derive(Clone, Copy, Default)]
enum Line {
    /// At the beginning of the stream.
    #[default]
    First,
    /// After so many bytes of a byte order mark.
    Mark(usize),
    /// After so many bytes of `data:`.
    Field(usize),
    /// In the value of a data field. A space after the colon is white space for JSON, too.
    Data,
    /// In any other line.
    Other,
}

const DATA_FIELD: &[u8] = b"data:";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Framing {
    fn feed(&mut self, chunk: &[u8], document: &mut Document, edit: &mut Edit) {
        let mut at = 0;
        while at < chunk.len() {
            match self.line {
                Line::First => self.line = if chunk[at] == BYTE_ORDER_MARK[0] { Line::Mark(0) } else { Line::Field(0) },
                Line::Mark(seen) => at = self.mark(seen, chunk, at),
                Line::Field(seen) => {
                    self.field_byte(seen, chunk[at], document, edit);
                    at += 1;
                }
                Line::Data | Line::Other => at = self.rest_of_line(chunk, at, document, edit),
            }
        }
    }

    fn mark(&mut self, seen: usize, chunk: &[u8], at: usize) -> usize {
        if chunk[at] != BYTE_ORDER_MARK[seen] {
            self.line = Line::Other;
            return at;
        }
        self.line = if seen + 1 == BYTE_ORDER_MARK.len() { Line::Field(0) } else { Line::Mark(seen + 1) };
        at + 1
    }

    fn field_byte(&mut self, seen: usize, byte: u8, document: &mut Document, edit: &mut Edit) {
        let after_return = std::mem::replace(&mut self.after_return, false);
        match byte {
            b'\n' if after_return => {}
            b'\n' | b'\r' => {
                match seen {
                    0 => document.restart(),
                    // "data" alone is a data line, too: an empty one.
                    4 => document.end_line(edit),
                    _ => {}
                }
                self.end_line(byte);
            }
            _ if byte == DATA_FIELD[seen] => {
                self.line = if seen + 1 == DATA_FIELD.len() { Line::Data } else { Line::Field(seen + 1) };
            }
            _ => self.line = Line::Other,
        }
    }

    fn rest_of_line(&mut self, chunk: &[u8], at: usize, document: &mut Document, edit: &mut Edit) -> usize {
        let end = memchr::memchr2(b'\r', b'\n', &chunk[at..]).map_or(chunk.len(), |index| at + index);
        let is_data = matches!(self.line, Line::Data);
        if is_data {
            document.feed(chunk, at, end, edit);
        }
        let Some(&byte) = chunk.get(end) else { return end };
        if is_data {
            document.end_line(edit);
        }
        self.end_line(byte);
        end + 1
    }

    fn end_line(&mut self, byte: u8) {
        self.line = Line::Field(0);
        self.after_return = byte == b'\r';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In `input` and `expect`, `up` is the upstream's name and `owl/up` the client's.
    fn check(kind: BodyKind, input: &str, expect: &str) {
        for size in 1..=input.len() {
            let mut splicer = ModelSplicer::new(kind, "up", "owl/up");
            let mut output = Vec::new();
            for chunk in input.as_bytes().chunks(size) {
                output.extend_from_slice(&splicer.push(Bytes::copy_from_slice(chunk)));
            }
            output.extend_from_slice(&splicer.finish());
            assert_eq!(String::from_utf8_lossy(&output), expect, "{kind:?} in chunks of {size}");
        }
    }

    #[test]
    fn documents() {
        let same = |text: &str| check(BodyKind::Json, text, text);
        check(BodyKind::Json, r#" {"n":0.5,"model" : "up" }"#, r#" {"n":0.5,"model" : "owl/up" }"#);
        check(BodyKind::Json, r#"{"mod\u0065l":"\u0075p"}"#, r#"{"mod\u0065l":"owl/up"}"#);
        check(BodyKind::Json, r#"{"response":{"model":"up"}}"#, r#"{"response":{"model":"owl/up"}}"#);
        check(BodyKind::Json, r#"{"message":{"a":{},"model":"up"}}"#, r#"{"message":{"a":{},"model":"owl/up"}}"#);
        check(BodyKind::Json, r#"{"model":"up","model":"up"}"#, r#"{"model":"owl/up","model":"owl/up"}"#);
        same(r#"{"model":"UP","Model":"up","model":"up2","model":"u","model":["up"],"model":{"model":"up"}}"#);
        same(r#"{"choices":[{"model":"up"}],"response":[{"model":"up"}],"message":{"x":{"model":"up"}}}"#);
        same(r#"{"response":{"message":{"model":"up"}},"other":{"model":"up"}}"#);
        same(r#"[{"model":"up"}]"#);
        for broken in
            ["{]", "{\"a\":01", "{\"a\":1.", "{\"a\":+1", "{\"a\":tru", "{\"a\":[1}", "{\"a\":\"\u{1}\"", "{,", "{}"]
        {
            same(&format!("{broken},\"model\":\"up\"}}"));
        }
        same("{\"model\":\"up");
    }

    #[test]
    fn event_streams() {
        let up = |stream: &str| check(BodyKind::EventStream, stream, &stream.replace("\"up\"", "\"owl/up\""));
        let same = |stream: &str| check(BodyKind::EventStream, stream, stream);
        up("data: {\"model\":\"up\"}\n\ndata:{\"model\":\"up\"}\r\n\r\n: ping\r\rdata: {\"model\":\"up\"}");
        up("\u{feff}data: {\"model\":\"up\"}\n\ndata: [DONE]\n\n");
        up("event: x\r\ndata: {\"n\":0\r\nid: 1\r\ndata\r\ndata: ,\"model\":\r\ndata:\"up\"}\r\n\r\n");
        same("\u{feff}\u{feff}data: {\"model\":\"up\"}\n\n");
        same("datax: {\"model\":\"up\"}\n dat: {\"model\":\"up\"}\n{\"model\":\"up\"}\n\n");
        same("data: {\"n\":-\ndata: 1,\"model\":\"up\"}\n\n");
        same("data: {\"model\":\"u\ndata: p\"}\n\n");
        same("data: {\"a\n\n");
        up("data: {\"a\n\ndata: {\"model\":\"up\"}\n\n");
    }

    #[test]
    fn chunks_stay_chunks() {
        let mut splicer = ModelSplicer::new(BodyKind::Json, "up", "owl/up");
        let chunk = Bytes::from_static(b"{\"a\":1,");
        assert_eq!(splicer.push(chunk.clone()).as_ptr(), chunk.as_ptr(), "not copied when nothing changes");
        assert_eq!(splicer.push(Bytes::from_static(b"\"model\":\"u")), &b"\"model\":"[..]);
        assert_eq!(splicer.push(Bytes::new()), Bytes::new());
        assert_eq!(splicer.push(Bytes::from_static(b"p\"}")), &b"\"owl/up\"}"[..]);
        assert_eq!(splicer.finish(), Bytes::new());
        let mut splicer = ModelSplicer::new(BodyKind::Json, "up", "up");
        let chunk = Bytes::from_static(b"{\"model\":\"\\u0075p\"}");
        assert_eq!(splicer.push(chunk.clone()), chunk);
    }

    #[test]
    fn kinds() {
        let check = |value: &str, expect| assert_eq!(BodyKind::of_content_type(value), expect, "{value}");
        check("application/json; charset=utf-8", Some(BodyKind::Json));
        check("Text/Event-Stream;charset=utf-8", Some(BodyKind::EventStream));
        check("application/problem+json", Some(BodyKind::Json));
        check("audio/mpeg", None);
        check("", None);
    }
}

//! Server-sent events, read from bytes as they arrive: the event stream format of the HTML standard (WHATWG).
//!
//! Lines end with CR, LF or CRLF; a byte order mark at the beginning is skipped; comments and unknown fields are dropped;
//! invalid UTF-8 becomes U+FFFD, as the standard asks. An event may not be larger than the limit given.
//!
//! This is for Owl's own reading. A stream that is only passed on goes through [`crate::splice`], which keeps its bytes.

use std::fmt;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; `None` is what browsers call `message`.
    pub name: Option<String>,
    /// The `data` fields, joined by line feeds.
    pub data: String,
    /// The last `id` that the stream has set so far.
    pub id: Option<String>,
}

/// An event, or a line of one, is larger than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

impl fmt::Display for EventTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event of the stream is larger than {} bytes", self.limit)
    }
}

impl std::error::Error for EventTooLarge {}

/// Reads an event stream, however it is cut into chunks.
#[derive(Clone, Debug)]
pub struct SseParser {
    limit: usize,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    first_line: bool,
    after_return: bool,
    name: String,
    /// Each data field with a line feed behind it.
    data: String,
    last_id: Option<String>,
    failed: bool,
}

impl SseParser {
    /// `limit`: how many bytes one event may have, in its data, its name and the line being read.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            partial: Vec::new(),
            first_line: true,
            after_return: false,
            name: String::new(),
            data: String::new(),
            last_id: None,
            failed: false,
        }
    }

    /// Reads the next chunk and appends the events that it completes. After an error nothing more is read.
    pub fn push(&mut self, chunk: &[u8], events: &mut Vec<Event>) -> Result<(), EventTooLarge> {
        let mut rest = chunk;
        self.room_for(0)?;
        while !rest.is_empty() {
            if std::mem::replace(&mut self.after_return, false) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = memchr::memchr2(b'\r', b'\n', rest);
            self.room_for(self.partial.len() + end.unwrap_or(rest.len()))?;
            let Some(end) = end else {
                self.partial.extend_from_slice(rest);
                break;
            };
            self.after_return = rest[end] == b'\r';
            if self.partial.is_empty() {
                self.line(&rest[..end], events);
            } else {
                self.partial.extend_from_slice(&rest[..end]);
                let line = std::mem::take(&mut self.partial);
                self.line(&line, events);
                self.partial = line;
                self.partial.clear();
            }
            rest = &rest[end + 1..];
        }
        Ok(())
    }

    /// The stream has ended. The standard drops an event that no empty line has completed; servers that forget that
    /// line exist, so it is returned, and the caller decides.
    pub fn finish(mut self) -> Option<Event> {
        if self.failed {
            return None;
        }
        let mut events = Vec::new();
        let line = std::mem::take(&mut self.partial);
        if !line.is_empty() {
            self.line(&line, &mut events);
        }
        self.dispatch(&mut events);
        events.pop()
    }

    fn room_for(&mut self, line: usize) -> Result<(), EventTooLarge> {
        self.failed |= self.data.len() + self.name.len() + line > self.limit;
        if self.failed { Err(EventTooLarge { limit: self.limit }) } else { Ok(()) }
    }

    fn line(&mut self, line: &[u8], events: &mut Vec<Event>) {
        let marked = std::mem::replace(&mut self.first_line, false);
        let line = if marked { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        if line.is_empty() {
            return self.dispatch(events);
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match field {
            b"data" => {
                self.data.push_str(&value);
                self.data.push('\n');
            }
            b"event" => self.name = value.into_owned(),
            b"id" if !value.contains('\0') => self.last_id = Some(value.into_owned()),
            _ => {}
        }
    }

    fn dispatch(&mut self, events: &mut Vec<Event>) {
        let name = std::mem::take(&mut self.name);
        if self.data.is_empty() {
            return;
        }
        let mut data = std::mem::take(&mut self.data);
        data.pop();
        let name = (!name.is_empty()).then_some(name);
        events.push(Event { name, data, id: self.last_id.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &[u8]) -> Vec<Event> {
        let mut parser = SseParser::new(1024);
        let mut events = Vec::new();
        parser.push(stream, &mut events).expect("small events");
        events
    }

    fn check(stream: &str, expect: &[&str]) {
        let data: Vec<_> = read(stream.as_bytes()).into_iter().map(|event| event.data).collect();
        assert_eq!(data, expect, "{stream:?}");
    }

    #[test]
    fn the_examples_of_the_standard() {
        check("data: YHOO\ndata: +2\ndata: 10\n\n", &["YHOO\n+2\n10"]);
        check(
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            &["first event", "second event", " third event"],
        );
        check("data\n\ndata\ndata\n\ndata:", &["", "\n"]);
        check("data:test\n\ndata: test\n\n", &["test", "test"]);
    }

    #[test]
    fn line_ends_and_the_byte_order_mark() {
        check("\u{feff}data: a\r\rdata: b\r\n\r\ndata: c\n\n", &["a", "b", "c"]);
        check("data: a\r\ndata: b\r\n\r\n", &["a\nb"]);
        check("data: a\n\n\u{feff}data: b\n\n", &["a"]);
        check(" data: a\n\ndata : b\n\nDATA: c\n\n", &[]);
    }

    #[test]
    fn names_and_ids() {
        let mut parser = SseParser::new(1024);
        let mut events = Vec::new();
        let stream = b"event: x\nid: 7\nretry: 250\n\nretry: 1s\nevent: y\ndata: 1\n\nid: a\0b\ndata: \xff\n\n";
        parser.push(stream, &mut events).expect("small events");
        let event = |name: Option<&str>, data: &str| Event {
            name: name.map(String::from),
            data: data.into(),
            id: Some("7".into()),
        };
        assert_eq!(events, [event(Some("y"), "1"), event(None, "\u{fffd}")]);
    }

    #[test]
    fn events_are_bounded() {
        let mut parser = SseParser::new(12);
        let mut events = Vec::new();
        assert_eq!(parser.push(b": comment\n: comment\ndata: 1234\n\n", &mut events), Ok(()));
        assert_eq!(parser.push(b"data: 123\ndata: 4567", &mut events), Err(EventTooLarge { limit: 12 }));
        assert_eq!(parser.push(b"\n\ndata: 1\n\n", &mut events), Err(EventTooLarge { limit: 12 }));
        assert_eq!(events.len(), 1);
        assert_eq!(parser.finish(), None);
    }

    #[test]
    fn the_last_event_may_lack_its_empty_line() {
        for (stream, expect) in [("data: [DONE]", Some("[DONE]")), ("data: [DONE]\n", Some("[DONE]")), (": x", None)] {
            let mut parser = SseParser::new(100);
            let mut events = Vec::new();
            parser.push(stream.as_bytes(), &mut events).expect("small events");
            assert!(events.is_empty());
            assert_eq!(parser.finish().map(|event| event.data).as_deref(), expect);
        }
    }
}

//! A scanner over one complete JSON object: it proves that the text is JSON and reports where the top-level values are.
//!
//! It is a single pass without recursion and without a tree. What it accepts is RFC 8259 as `serde_json` reads it, with
//! these decisions:
//!
//! - Nesting up to [`MAX_DEPTH`] levels, so that a hostile body costs no stack, here or in a server behind.
//! - A number is judged by its grammar alone. `1e999` or 2^63 are the server's business.
//! - A lone surrogate escape (`"\ud800"`) is accepted wherever Owl does not need the string's value.
//! - A byte order mark, raw control characters in strings, invalid UTF-8, comments, trailing commas, `NaN`: refused.
//!
//! Next: [`crate::request`] uses it for requests, [`crate::splice`] is its sibling for text that arrives in pieces.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::media::keys::may_hold_media;

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 512;

/// Why a text was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// There is a value, but it is not an object.
    NotAnObject,
    /// Not JSON: what should have stood at that place instead.
    Invalid {
        /// Where it went wrong.
        position: Position,
        /// What was expected there.
        expected: &'static str,
    },
    /// Arrays and objects nest deeper than [`MAX_DEPTH`].
    TooDeep {
        /// The bracket that was one too many.
        position: Position,
    },
    /// A key that Owl acts on occurs twice, so that the server behind might read the other one.
    DuplicateKey {
        /// The key, decoded.
        key: &'static str,
        /// The second occurrence.
        position: Position,
    },
    /// `model` is there, but is not a string.
    ModelNotAString {
        /// The value.
        position: Position,
    },
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => write!(f, "the body is not a JSON object"),
            Self::Invalid { position, expected } => write!(f, "invalid JSON at {position}: expected {expected}"),
            Self::TooDeep { position } => write!(f, "JSON nested deeper than {MAX_DEPTH} levels at {position}"),
            Self::DuplicateKey { key, position } => {
                write!(f, "the key \"{key}\" occurs twice, the second time at {position}")
            }
            Self::ModelNotAString { position } => write!(f, "\"model\" is not a string at {position}"),
        }
    }
}

impl std::error::Error for JsonError {}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// In bytes, from 0.
    pub offset: usize,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl Position {
    /// Works out line and column; only errors pay for it.
    pub(crate) fn of(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = before[line_start..].iter().filter(|byte| !is_continuation(**byte)).count() + 1;
        Self { offset, line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {} (byte {})", self.line, self.column, self.offset)
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// One `key: value` of the top-level object.
pub(crate) struct Member<'a> {
    /// The key between its quotes, as written, with escapes.
    pub(crate) key: &'a str,
    /// The key's token, quotes included.
    pub(crate) key_span: Range<usize>,
    /// The value's token.
    pub(crate) value: Range<usize>,
}

/// Calls `visit` for each member of the object that `text` is, in order. The whole text is checked, unless `visit` fails.
/// Says whether a key occurs, at any depth, that may hold media: most requests have none, and need no second look.
pub(crate) fn scan_object<'a>(
    text: &'a [u8],
    mut visit: impl FnMut(Member<'a>) -> Result<(), JsonError>,
) -> Result<bool, JsonError> {
    let fault = |at, expected| JsonError::Invalid { position: Position::of(text, at), expected };
    let checked = std::str::from_utf8(text).map_err(|error| fault(error.valid_up_to(), "text in UTF-8"))?;
    let mut scanner = Scanner::new(text);
    match scanner.skip_space() {
        Some(b'{') => scanner.at += 1,
        Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => return Err(JsonError::NotAnObject),
        _ => return Err(fault(scanner.at, "a JSON object")),
    }
    if scanner.skip_space() == Some(b'}') {
        scanner.at += 1;
        return scanner.end().map(|()| false).map_err(|fault| fault.explain(text));
    }
    loop {
        let key_span = scanner.key().map_err(|fault| fault.explain(text))?;
        scanner.skip_space();
        let start = scanner.at;
        scanner.value().map_err(|fault| fault.explain(text))?;
        let key = &checked[key_span.start + 1..key_span.end - 1];
        visit(Member { key, key_span, value: start..scanner.at })?;
        match scanner.skip_space() {
            Some(b',') => scanner.at += 1,
            Some(b'}') => break,
            _ => return Err(fault(scanner.at, "',' or '}'")),
        }
    }
    scanner.at += 1;
    scanner.end().map(|()| scanner.media).map_err(|fault| fault.explain(text))
}

/// The first value of each of `names` among the members of the object that `text` is.
pub(crate) fn find_members<const N: usize>(
    text: &[u8],
    names: [&str; N],
) -> Result<[Option<Range<usize>>; N], JsonError> {
    let mut found = [const { None }; N];
    scan_object(text, |member| {
        let key = decode(member.key);
        if let Some(index) = names.iter().position(|name| key.as_deref() == Some(*name)) {
            found[index].get_or_insert(member.value);
        }
        Ok(())
    })?;
    Ok(found)
}

/// The value of a string whose token, without its quotes, is `inner`. `None`: an escape that is no Unicode character.
pub(crate) fn decode(inner: &str) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(&format!("\"{inner}\"")).ok().map(Cow::Owned)
}

/// `text` as a JSON string token.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a string always has a JSON form")
}

/// Moves over a text, token by token.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    pub(crate) at: usize,
    /// A key has occurred that may hold media.
    media: bool,
}

/// What the scanner says until somebody wants to know the line.
pub(crate) struct Fault {
    at: usize,
    expected: Option<&'static str>,
}

impl Fault {
    /// A bracket that is one too many.
    pub(crate) fn too_deep(at: usize) -> Self {
        Self { at, expected: None }
    }

    pub(crate) fn explain(self, text: &[u8]) -> JsonError {
        let position = Position::of(text, self.at);
        match self.expected {
            Some(expected) => JsonError::Invalid { position, expected },
            None => JsonError::TooDeep { position },
        }
    }
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, media: false }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn fault<T>(&self, expected: &'static str) -> Result<T, Fault> {
        Err(Fault { at: self.at, expected: Some(expected) })
    }

    /// Moves to the next byte that is not white space, and returns it.
    pub(crate) fn skip_space(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        match self.skip_space() {
            None => Ok(()),
            Some(_) => self.fault("nothing more after the object"),
        }
    }

    /// A key and its colon; returns the key's token.
    pub(crate) fn key(&mut self) -> Result<Range<usize>, Fault> {
        if self.skip_space() != Some(b'"') {
            return self.fault("a key in double quotes");
        }
        let start = self.at;
        self.string()?;
        let token = start..self.at;
        self.media |= may_hold_media(&self.bytes[token.start + 1..token.end - 1]);
        if self.skip_space() != Some(b':') {
            return self.fault("':'");
        }
        self.at += 1;
        Ok(token)
    }

    /// One value of any kind; white space before it is skipped.
    pub(crate) fn value(&mut self) -> Result<(), Fault> {
        let mut nesting = Nesting::default();
        loop {
            match self.skip_space() {
                Some(b'"') => self.string()?,
                Some(b'{') => {
                    self.at += 1;
                    if self.skip_space() == Some(b'}') {
                        self.at += 1;
                    } else {
                        self.enter(&mut nesting, true)?;
                        self.key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    if self.skip_space() == Some(b']') {
                        self.at += 1;
                    } else {
                        self.enter(&mut nesting, false)?;
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                _ => return self.fault("a value"),
            }
            if self.after_value(&mut nesting)? {
                return Ok(());
            }
        }
    }

    /// Closes what ends here. True: the value that [`Self::value`] was asked for is complete.
    fn after_value(&mut self, nesting: &mut Nesting) -> Result<bool, Fault> {
        while let Some(in_object) = nesting.innermost() {
            match (self.skip_space(), in_object) {
                (Some(b','), true) => {
                    self.at += 1;
                    self.key()?;
                    return Ok(false);
                }
                (Some(b','), false) => {
                    self.at += 1;
                    return Ok(false);
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.at += 1;
                    nesting.leave();
                }
                (_, true) => return self.fault("',' or '}'"),
                (_, false) => return self.fault("',' or ']'"),
            }
        }
        Ok(true)
    }

    fn enter(&self, nesting: &mut Nesting, object: bool) -> Result<(), Fault> {
        // The top-level object is one level, though it is not on this stack.
        if nesting.depth() + 1 < MAX_DEPTH && nesting.enter(object) {
            return Ok(());
        }
        Err(Fault::too_deep(self.at))
    }

    /// From the opening quote to behind the closing one.
    pub(crate) fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            self.at = string_stop(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return self.fault("a control character to be escaped"),
                None => return self.fault("'\"' at the end of a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.fault("four hexadecimal digits");
                    }
                    self.at += 1;
                }
            }
            _ => return self.fault("an escape that JSON knows"),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let count = count_digits(&self.bytes[self.at..]);
        if count == 0 {
            return self.fault("a digit");
        }
        self.at += count;
        Ok(())
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        if !self.bytes[self.at..].starts_with(word) {
            return self.fault("a value");
        }
        self.at += word.len();
        Ok(())
    }
}

/// How many digits `bytes` begins with.
pub(crate) fn count_digits(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len())
}

/// Which of the open brackets are braces, without an allocation.
#[derive(Clone, Default)]
pub(crate) struct Nesting {
    objects: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Nesting {
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// False: that would be deeper than [`MAX_DEPTH`].
    #[must_use]
    pub(crate) fn enter(&mut self, object: bool) -> bool {
        let Some(word) = self.objects.get_mut(self.depth / 64) else { return false };
        let bit = 1 << (self.depth % 64);
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        true
    }

    pub(crate) fn clear(&mut self) {
        self.depth = 0;
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Whether the innermost open bracket is a brace; `None` when none is open.
    pub(crate) fn innermost(&self) -> Option<bool> {
        let index = self.depth.checked_sub(1)?;
        Some(self.objects[index / 64] >> (index % 64) & 1 == 1)
    }
}

/// Where, from `from` on, the plain run of a string ends: at a quote, a backslash, a control character, or the end.
///
/// Most strings are short and a few (prompts, images) are huge, so it goes by words first and by blocks, which compile
/// to vector instructions, after that.
pub(crate) fn string_stop(bytes: &[u8], from: usize) -> usize {
    let mut rest = &bytes[from..];
    for _ in 0..4 {
        let Some((word, tail)) = rest.split_first_chunk::<8>() else { break };
        if let Some(index) = first_stop(*word) {
            return bytes.len() - rest.len() + index;
        }
        rest = tail;
    }
    while let Some((block, tail)) = rest.split_first_chunk::<64>() {
        if block.iter().fold(false, |hit, &byte| hit | stops(byte)) {
            break;
        }
        rest = tail;
    }
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        if let Some(index) = first_stop(*word) {
            return bytes.len() - rest.len() + index;
        }
        rest = tail;
    }
    let index = rest.iter().position(|&byte| stops(byte)).unwrap_or(rest.len());
    bytes.len() - rest.len() + index
}

fn stops(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The index of the first byte of `word` that ends a plain run.
fn first_stop(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // "Has a byte below n": borrows only spread upwards from a byte that is itself a hit, so the lowest hit is exact.
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word & HIGH;
    let word = u64::from_le_bytes(word);
    let quote = below(word ^ (ONES * b'"' as u64), 1);
    let backslash = below(word ^ (ONES * b'\\' as u64), 1);
    let hits = below(word, 0x20) | quote | backslash;
    (hits != 0).then(|| hits.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<(), &str>) {
        let seen = scan_object(text.as_bytes(), |_| Ok(())).map(drop).map_err(|error| error.to_string());
        assert_eq!(seen, expect.map_err(String::from), "{text}");
        let serde = serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() && text.trim().starts_with('{');
        assert_eq!(seen.is_ok(), serde, "serde_json disagrees about {text}");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        check("{}", Ok(()));
        check(" {\"a\" : [ ] , \"b\":{ } }\r\n\t", Ok(()));
        check(r#"{"a":[1.0,1e3,-0,-0.5E+2,9223372036854775808,1e999]}"#, Ok(()));
        check(r#"{"a":"\ud800 \u00e9\n\/"}"#, Ok(()));
        check("", Err("invalid JSON at line 1, column 1 (byte 0): expected a JSON object"));
        check("[1]", Err("the body is not a JSON object"));
        check("\u{feff}{}", Err("invalid JSON at line 1, column 1 (byte 0): expected a JSON object"));
        check("{\"é\":\n 01}", Err("invalid JSON at line 2, column 3 (byte 9): expected ',' or '}'"));
        check("{\"é\" 1}", Err("invalid JSON at line 1, column 6 (byte 6): expected ':'"));
        check("{\"a\":1,}", Err("invalid JSON at line 1, column 8 (byte 7): expected a key in double quotes"));
        check("{\"a\":[1,]}", Err("invalid JSON at line 1, column 9 (byte 8): expected a value"));
        check("{\"a\":[1}", Err("invalid JSON at line 1, column 8 (byte 7): expected ',' or ']'"));
        check("{\"a\":{\"b\":1]}", Err("invalid JSON at line 1, column 12 (byte 11): expected ',' or '}'"));
        check("{\"a\":tru}", Err("invalid JSON at line 1, column 6 (byte 5): expected a value"));
        check("{\"a\":-}", Err("invalid JSON at line 1, column 7 (byte 6): expected a digit"));
        check("{\"a\":1.}", Err("invalid JSON at line 1, column 8 (byte 7): expected a digit"));
        check("{\"a\":1e}", Err("invalid JSON at line 1, column 8 (byte 7): expected a digit"));
        check(
            "{\"a\":\"\t\"}",
            Err("invalid JSON at line 1, column 7 (byte 6): expected a control character to be escaped"),
        );
        check(r#"{"a":"\x"}"#, Err("invalid JSON at line 1, column 8 (byte 7): expected an escape that JSON knows"));
        check(r#"{"a":"\u12"}"#, Err("invalid JSON at line 1, column 11 (byte 10): expected four hexadecimal digits"));
        check("{\"a\":\"", Err("invalid JSON at line 1, column 7 (byte 6): expected '\"' at the end of a string"));
        check("{} {}", Err("invalid JSON at line 1, column 4 (byte 3): expected nothing more after the object"));
    }

    #[test]
    fn invalid_utf8_is_refused() {
        let error = scan_object(b"{\"a\":\"\xff\"}", |_| Ok(())).expect_err("not UTF-8");
        assert_eq!(error.to_string(), "invalid JSON at line 1, column 7 (byte 6): expected text in UTF-8");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        // The innermost, empty brackets do not enter anything.
        assert!(scan_object(nested(MAX_DEPTH + 1).as_bytes(), |_| Ok(())).is_ok());
        let error = scan_object(nested(MAX_DEPTH + 2).as_bytes(), |_| Ok(())).expect_err("too deep");
        assert!(matches!(error, JsonError::TooDeep { .. }), "{error}");
    }

    #[test]
    fn a_plain_run_ends_at_the_first_special_byte() {
        for length in 0..200 {
            for (stop, expect) in
                [(b'"', true), (b'\\', true), (0x1f, true), (0x20, false), (0x7f, false), (0x80, false)]
            {
                let mut bytes = vec![b'a'; 200];
                bytes[length] = stop;
                for from in [0, 1, 7, length] {
                    let expect = if expect && from <= length { length } else { 200 };
                    assert_eq!(string_stop(&bytes, from), expect, "byte {stop} at {length}");
                }
            }
        }
    }
}

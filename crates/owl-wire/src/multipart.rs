//! The facts of a request whose body is a form (`multipart/form-data`: audio, images): where the `model` field's value is.
//!
//! Nothing is decoded and files are not looked at. The form is read strictly (RFC 7578, RFC 2046), because where two
//! readers could disagree on what is a field, the server behind might see another model than Owl: a bare line feed
//! before a boundary, a boundary with something behind it, two names for one part are errors, not guesses.
//!
//! Next: [`splice`] puts another model's name into the form.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;

use crate::json;
use crate::media::{self, MediaUrl};
use crate::request::{self, Model};

/// The longest boundary that RFC 2046 allows.
const MAX_BOUNDARY: usize = 70;
/// How much of a field is read as a URL, in bytes: none is longer.
const LONGEST_URL: usize = 64 * 1024 + 1;
/// How large the headers of one part may be.
const MAX_PART_HEADERS: usize = 16 * 1024;

/// Why a form was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormError {
    /// The `Content-Type` is not `multipart/form-data` with one usable boundary.
    ContentType(&'static str),
    /// The body is not such a form.
    Malformed {
        /// In bytes from the beginning of the body.
        offset: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// A field that Owl acts on occurs twice, so that the server behind might read the other one.
    DuplicateKey {
        /// The field's name.
        key: &'static str,
        /// The second part.
        offset: usize,
    },
    /// The `model` field is not plain text.
    ModelNotText {
        /// The part.
        offset: usize,
    },
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContentType(problem) => write!(f, "the Content-Type {problem}"),
            Self::Malformed { offset, problem } => write!(f, "invalid form at byte {offset}: {problem}"),
            Self::DuplicateKey { key, offset } => {
                write!(f, "the form field \"{key}\" occurs twice, the second time at byte {offset}")
            }
            Self::ModelNotText { offset } => write!(f, "the form field \"model\" at byte {offset} is not plain text"),
        }
    }
}

impl std::error::Error for FormError {}

fn malformed<T>(offset: usize, problem: &'static str) -> Result<T, FormError> {
    Err(FormError::Malformed { offset, problem })
}

/// What Owl acts on in a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormFacts<'a> {
    /// The model, if the form names one.
    pub model: Option<Model<'a>>,
    /// Whether the answer is asked for as a stream; `None` when the form does not say it plainly.
    pub stream: Option<bool>,
    /// The first field that holds a URL which a server would fetch as media.
    pub url: Option<FormUrl>,
}

/// A field with a URL in place of a file, as SGLang's and vLLM's endpoints for pictures and films take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormUrl {
    /// The field's name.
    pub field: String,
    /// The URL.
    pub url: MediaUrl,
}

impl<'a> FormFacts<'a> {
    /// Reads the facts from a whole `body` that came with this `Content-Type`.
    pub fn scan(content_type: &str, body: &'a [u8]) -> Result<Self, FormError> {
        let delimiter = format!("--{}", boundary(content_type)?);
        let mut facts = Self::default();
        let mut stream = None;
        for part in parts(body, delimiter.as_bytes())? {
            let content = part.content.clone();
            let offset = part.headers.start;
            match &*part_name(body, &part)? {
                "model" if facts.model.is_some() => return Err(FormError::DuplicateKey { key: "model", offset }),
                "model" => facts.model = Some(read_model(body, &part)?),
                "stream" if stream.is_some() => return Err(FormError::DuplicateKey { key: "stream", offset }),
                "stream" => stream = Some(content),
                name if facts.url.is_none() => facts.url = read_url(body, &part, name)?,
                _ => {}
            }
        }
        facts.stream = stream.and_then(|span| read_bool(&body[span]));
        Ok(facts)
    }
}

/// `body` with the content of the field at `span`, a [`Model::span`], replaced by `new_model` as it is.
///
/// # Panics
/// When `span` does not lie in `body`.
pub fn splice(body: &Bytes, span: Range<usize>, new_model: &str) -> Bytes {
    request::splice_raw(body, span, new_model.as_bytes())
}

/// One part of the form, as two spans.
struct Part {
    /// Without the empty line behind them.
    headers: Range<usize>,
    content: Range<usize>,
}

/// The boundary that a `Content-Type` value names.
fn boundary(content_type: &str) -> Result<Cow<'_, str>, FormError> {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(FormError::ContentType("is not multipart/form-data"));
    }
    let mut found = None;
    for parameter in Parameters(parameters) {
        let (name, value) = parameter.ok_or(FormError::ContentType("has parameters that cannot be read"))?;
        if name.eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
            return Err(FormError::ContentType("names two boundaries"));
        }
    }
    let boundary: Cow<'_, str> = found.ok_or(FormError::ContentType("names no boundary"))?;
    let printable = boundary.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !boundary.ends_with(' ');
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY || !printable {
        return Err(FormError::ContentType("has a boundary that is not 1 to 70 printable characters"));
    }
    Ok(boundary)
}

/// The parameters of a header value: `name=token` and `name="quoted"`, separated by semicolons. `None`: unreadable.
struct Parameters<'a>(&'a str);

impl<'a> Iterator for Parameters<'a> {
    type Item = Option<(&'a str, Cow<'a, str>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0 = self.0.trim_start_matches([' ', '\t', ';']);
        if self.0.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.0);
        let Some((name, value)) = rest.split_once('=') else { return Some(None) };
        if name.is_empty() || name.contains([' ', '\t', ';', '"']) {
            return Some(None);
        }
        let Some((value, rest)) = parameter_value(value) else { return Some(None) };
        let rest = rest.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(';') {
            return Some(None);
        }
        self.0 = rest;
        Some(Some((name, value)))
    }
}

/// A parameter's value and what stands behind it.
fn parameter_value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        let value = value.trim_end_matches([' ', '\t']);
        return (!value.contains('"')).then_some((Cow::Borrowed(value), rest));
    };
    let mut unescaped = String::new();
    let mut rest = quoted;
    loop {
        let stop = rest.find(['"', '\\'])?;
        let (plain, tail) = rest.split_at(stop);
        if let Some(rest) = tail.strip_prefix('"') {
            let value = if unescaped.is_empty() { Cow::Borrowed(plain) } else { Cow::Owned(unescaped + plain) };
            return Some((value, rest));
        }
        // Only quotes and backslashes are escaped by those who escape; old browsers sent Windows paths as they are.
        let escaped = tail[1..].chars().next().filter(|char| matches!(char, '"' | '\\'));
        unescaped.push_str(plain);
        unescaped.push(escaped.unwrap_or('\\'));
        rest = &tail[1 + escaped.map_or(0, char::len_utf8)..];
    }
}

/// Cuts the body at its delimiters.
fn parts(body: &[u8], delimiter: &[u8]) -> Result<Vec<Part>, FormError> {
    let mut parts = Vec::new();
    // Where the part that is open begins; before the first delimiter there is none.
    let mut open = None;
    let mut closed = false;
    for at in memmem::find_iter(body, delimiter) {
        if !at_line_start(body, at)? {
            continue;
        }
        if closed {
            return malformed(at, "a part after the closing boundary");
        }
        if let Some(start) = open {
            parts.push(part(body, start, at)?);
        }
        let end = at + delimiter.len();
        if body[end..].starts_with(b"--") {
            closed = true;
            continue;
        }
        let padding = body[end..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !body[end + padding..].starts_with(b"\r\n") {
            return malformed(at, "a boundary with something behind it, or cut off");
        }
        open = Some(end + padding + 2);
    }
    if closed { Ok(parts) } else { malformed(body.len(), "the closing boundary is missing") }
}

/// Whether a delimiter found at `at` is one: in the middle of a line it is content.
fn at_line_start(body: &[u8], at: usize) -> Result<bool, FormError> {
    match &body[..at] {
        [] | [.., b'\r', b'\n'] => Ok(true),
        [.., b'\r' | b'\n'] => malformed(at, "a boundary after a bare line feed or carriage return"),
        _ => Ok(false),
    }
}

/// The part from `start` to the delimiter at `end`.
fn part(body: &[u8], start: usize, end: usize) -> Result<Part, FormError> {
    // The line end before a delimiter belongs to it, and may at the same time be the empty line's.
    let content_end = end.checked_sub(2).filter(|content_end| *content_end >= start);
    let Some(content_end) = content_end else { return malformed(start, "a part without headers") };
    let searched = &body[start..end.min(start + MAX_PART_HEADERS)];
    let Some(length) = memmem::find(searched, b"\r\n\r\n") else {
        return malformed(start, "a part whose headers have no end, or are larger than 16 KiB");
    };
    let content = start + length + 4;
    if content > content_end {
        return malformed(start, "a part without an empty line behind its headers");
    }
    Ok(Part { headers: start..start + length, content: content..content_end })
}

/// The headers of a part, as name and value.
fn headers<'a>(body: &'a [u8], part: &Part) -> Result<Vec<(&'a str, &'a str)>, FormError> {
    let offset = part.headers.start;
    let Ok(text) = std::str::from_utf8(&body[part.headers.clone()]) else {
        return malformed(offset, "part headers that are not UTF-8");
    };
    let mut headers = Vec::new();
    for line in text.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else {
            return malformed(offset, "a part header without a colon");
        };
        if name.is_empty() || name.contains([' ', '\t']) || line.contains(['\r', '\n', '\0']) {
            return malformed(offset, "a part header that is folded or has stray characters");
        }
        headers.push((name, value.trim_matches([' ', '\t'])));
    }
    Ok(headers)
}

fn part_name<'a>(body: &'a [u8], part: &Part) -> Result<Cow<'a, str>, FormError> {
    let (name, _) = disposition(body, part)?;
    Ok(name)
}

/// The name of a part, and whether it is a file.
fn disposition<'a>(body: &'a [u8], part: &Part) -> Result<(Cow<'a, str>, bool), FormError> {
    let offset = part.headers.start;
    let headers = headers(body, part)?;
    let mut dispositions = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-disposition"));
    let (Some((_, value)), None) = (dispositions.next(), dispositions.next()) else {
        return malformed(offset, "a part without exactly one Content-Disposition");
    };
    let (kind, parameters) = value.split_once(';').unwrap_or((value, ""));
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return malformed(offset, "a part that is not form-data");
    }
    let mut found = None;
    let mut is_file = false;
    for parameter in Parameters(parameters) {
        let Some((name, value)) = parameter else {
            return malformed(offset, "a Content-Disposition that cannot be read");
        };
        if name.eq_ignore_ascii_case("name*") || (name.eq_ignore_ascii_case("name") && found.replace(value).is_some()) {
            return malformed(offset, "a part with two names, or with name*");
        }
        is_file |= name.eq_ignore_ascii_case("filename") || name.eq_ignore_ascii_case("filename*");
    }
    match found {
        Some(name) => Ok((name, is_file)),
        None => malformed(offset, "a part without a name"),
    }
}

fn read_model<'a>(body: &'a [u8], part: &Part) -> Result<Model<'a>, FormError> {
    let offset = part.headers.start;
    let (_, is_file) = disposition(body, part)?;
    let encoded = headers(body, part)?.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("content-transfer-encoding")
            && !["7bit", "8bit", "binary"].iter().any(|plain| value.eq_ignore_ascii_case(plain))
    });
    match std::str::from_utf8(&body[part.content.clone()]) {
        Ok(name) if !is_file && !encoded => Ok(Model { name: Cow::Borrowed(name), span: part.content.clone() }),
        _ => Err(FormError::ModelNotText { offset }),
    }
}

/// The URL in the field `name`, if it is one of media. A file is never one.
fn read_url(body: &[u8], part: &Part, name: &str) -> Result<Option<FormUrl>, FormError> {
    // `image[]` and `image[0]` are how forms write lists.
    let (key, _) = name.split_once('[').unwrap_or((name, ""));
    if !media::keys::is_media_field(key.as_bytes()) || disposition(body, part)?.1 {
        return Ok(None);
    }
    let content = &body[part.content.clone()];
    let head = String::from_utf8_lossy(&content[..content.len().min(LONGEST_URL)]);
    let token = json::encode(&head);
    let url = std::str::from_utf8(&token[1..token.len() - 1]).ok().and_then(media::url::read);
    Ok(url.map(|url| FormUrl { field: media::shown(name.as_bytes()), url }))
}

fn read_bool(value: &[u8]) -> Option<bool> {
    match value.to_ascii_lowercase().as_slice() {
        b"true" | b"1" => Some(true),
        b"false" | b"0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(parts: &[(&str, &str)]) -> String {
        let parts = parts.iter().map(|(headers, content)| format!("--x\r\n{headers}\r\n\r\n{content}\r\n"));
        parts.collect::<String>() + "--x--\r\n"
    }

    const MODEL: &str = "Content-Disposition: form-data; name=\"model\"";
    const FILE: &str =
        "content-disposition: form-data; name=file; filename=\"a;b\\\"c.wav\"\r\nContent-Type: audio/wav";

    fn check(body: &str, expect: Result<(Option<&str>, Option<bool>), &str>) {
        let seen = FormFacts::scan("multipart/form-data; boundary=x", body.as_bytes());
        let seen = seen.map(|facts| (facts.model.map(|model| model.name.into_owned()), facts.stream));
        let expect = expect.map(|(model, stream)| (model.map(String::from), stream)).map_err(String::from);
        assert_eq!(seen.map_err(|error| error.to_string()), expect, "{body}");
    }

    #[test]
    fn facts() {
        check(&form(&[(FILE, "RIFF\r\n --x"), (MODEL, "whisper")]), Ok((Some("whisper"), None)));
        check(&form(&[("Content-Disposition:form-data;name=stream", "True"), (MODEL, "")]), Ok((Some(""), Some(true))));
        check(&format!("preamble\r\n{}epilogue", form(&[(MODEL, "é\r\n")])), Ok((Some("é\r\n"), None)));
        check(&form(&[(MODEL, "m")]).replace("--x\r\n", "--x \t\r\n"), Ok((Some("m"), None)));
        check("--x--", Ok((None, None)));
    }

    #[test]
    fn urls_of_media() {
        let check = |headers: &str, content: &str, expect: Option<(&str, MediaUrl)>| {
            let body = form(&[(MODEL, "m"), (headers, content)]);
            let facts = FormFacts::scan("multipart/form-data; boundary=x", body.as_bytes()).expect("valid");
            let expect = expect.map(|(field, url)| FormUrl { field: field.to_owned(), url });
            assert_eq!(facts.url, expect, "{headers}: {content}");
        };
        let web = |url: &str| MediaUrl::Web(url.to_owned());
        for name in ["url", "URL", "image", "image[]", "image[0]", "mask", "file", "reference_url", "input_reference"] {
            let field = format!("Content-Disposition: form-data; name=\"{name}\"");
            check(&field, " http://h/a\n", Some((name, web("http://h/a"))));
            check(&field, r"HTTP:\\h\n", Some((name, web(r"HTTP:\\h\n"))));
            check(&field, "file:///etc/passwd", Some((name, MediaUrl::Foreign("file".to_owned()))));
            check(&field, "data:image/png;base64,iVBO", None);
            check(&field, "file-abc123", None);
        }
        check("Content-Disposition: form-data; name=prompt", "http://h/a", None);
        check(FILE, "http://h/a", None);
        let turned = "Content-Disposition: form-data; name=\"image\u{202e}\"";
        check(turned, "http://h/a", Some(("image\u{fffd}", web("http://h/a"))));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let twice = form(&[(MODEL, "a"), ("Content-Disposition: form-data; name=model", "b")]);
        check(&twice, Err("the form field \"model\" occurs twice, the second time at byte 61"));
        check(
            &form(&[(FILE, "\n--x\r\n")]),
            Err("invalid form at byte 99: a boundary after a bare line feed or carriage return"),
        );
        check("--xy\r\n", Err("invalid form at byte 0: a boundary with something behind it, or cut off"));
        check("--x\r\n", Err("invalid form at byte 5: the closing boundary is missing"));
        check("--x\r\n--x--", Err("invalid form at byte 5: a part without headers"));
        check(
            "--x\r\na: b\r\n--x--",
            Err("invalid form at byte 5: a part whose headers have no end, or are larger than 16 KiB"),
        );
        check(&(form(&[]) + "--x--"), Err("invalid form at byte 7: a part after the closing boundary"));
        let part = |headers: &str| form(&[(headers, "m")]);
        let at = |problem: &'static str| format!("invalid form at byte 5: {problem}");
        for (headers, problem) in [
            ("X: y", "a part without exactly one Content-Disposition"),
            (&format!("{MODEL}\r\n{MODEL}"), "a part without exactly one Content-Disposition"),
            (&format!("{MODEL}; name=other"), "a part with two names, or with name*"),
            (&format!("{MODEL}; name*=utf-8''other"), "a part with two names, or with name*"),
            (&format!("{MODEL}\r\n x"), "a part header without a colon"),
            (&format!("{MODEL}\r\n x: y"), "a part header that is folded or has stray characters"),
            (&format!("X: y\n{MODEL}"), "a part header that is folded or has stray characters"),
            ("Content-Disposition: form-data; name=\"model", "a Content-Disposition that cannot be read"),
            ("Content-Disposition: form-data; name=\"model\" x", "a Content-Disposition that cannot be read"),
            ("Content-Disposition: form-data; filename=x", "a part without a name"),
            ("Content-Disposition: attachment; name=model", "a part that is not form-data"),
        ] {
            check(&part(headers), Err(&at(problem)));
        }
        let not_text = "the form field \"model\" at byte 5 is not plain text";
        check(&part(&format!("{MODEL}; filename=x")), Err(not_text));
        check(&part(&format!("{MODEL}\r\nContent-Transfer-Encoding: base64")), Err(not_text));
    }

    #[test]
    fn boundaries() {
        let check = |content_type: &str, expect: Result<&str, &str>| {
            let seen = boundary(content_type).map(Cow::into_owned).map_err(|error| error.to_string());
            assert_eq!(seen, expect.map(String::from).map_err(String::from), "{content_type}");
        };
        check("multipart/form-data; boundary=----WebKit7MA4Y", Ok("----WebKit7MA4Y"));
        check("Multipart/Form-Data ;charset=utf-8;BOUNDARY=\"a b\\\"c;\" ; x=y", Ok("a b\"c;"));
        check("multipart/form-data;boundary=a=b;", Ok("a=b"));
        check("multipart/mixed; boundary=x", Err("the Content-Type is not multipart/form-data"));
        check("multipart/form-data", Err("the Content-Type names no boundary"));
        check("multipart/form-data; boundary=a; boundary=b", Err("the Content-Type names two boundaries"));
        check("multipart/form-data; boundary=\"a", Err("the Content-Type has parameters that cannot be read"));
        let unusable = "the Content-Type has a boundary that is not 1 to 70 printable characters";
        for boundary in ["\"\"".into(), "\"a \"".into(), "é".into(), "a".repeat(71)] {
            check(&format!("multipart/form-data; boundary={boundary}"), Err(unusable));
        }
    }

    #[test]
    fn only_the_value_is_replaced() {
        let body = Bytes::from(form(&[(FILE, "\0\u{1}"), (MODEL, "owl/whisper")]));
        let facts = FormFacts::scan("multipart/form-data; boundary=x", &body).expect("valid");
        let spliced = splice(&body, facts.model.expect("named").span, "whisper");
        assert_eq!(spliced, form(&[(FILE, "\0\u{1}"), (MODEL, "whisper")]));
    }
}

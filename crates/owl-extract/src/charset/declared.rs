//! What a document was declared to be encoded in: labels, not yet judged.

use memchr::{memchr, memmem};

/// How far into a document a declaration is looked for. The standard says 1024 bytes, browsers and pages say more.
const PRESCAN_BYTES: usize = 16 * 1024;

/// The `charset` parameter of a `Content-Type`.
pub(super) fn in_header(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })
}

/// The `encoding` of an XML declaration at the very beginning.
pub(super) fn in_xml(bytes: &[u8]) -> Option<&str> {
    let begin = bytes.trim_ascii_start();
    let rest = begin.strip_prefix(b"<?xml")?;
    let declaration = &rest[..memmem::find(&rest[..rest.len().min(1024)], b"?>")?];
    let mut attributes = Attributes { rest: declaration };
    attributes.find(|(name, _)| name.eq_ignore_ascii_case(b"encoding")).and_then(|(_, value)| label(value))
}

/// What the first `<meta charset>` or `<meta http-equiv="Content-Type">` says, found as the HTML standard's prescan does:
/// comments are skipped, and so are the attributes of other elements.
pub(super) fn in_html(bytes: &[u8]) -> Option<&str> {
    let mut rest = &bytes[..bytes.len().min(PRESCAN_BYTES)];
    loop {
        rest = &rest[memchr(b'<', rest)? + 1..];
        if rest.starts_with(b"!--") {
            rest = &rest[memmem::find(&rest[1..], b"-->")? + 1..];
        } else if starts_meta(rest) {
            let mut attributes = Attributes { rest: &rest[4..] };
            if let Some(found) = in_meta(&mut attributes) {
                return Some(found);
            }
            rest = attributes.rest;
        } else if let Some(name) =
            rest.strip_prefix(b"/").or(Some(rest)).filter(|r| r.first().is_some_and(u8::is_ascii_alphabetic))
        {
            let end = name.iter().position(|b| b.is_ascii_whitespace() || *b == b'>' || *b == b'/')?;
            let mut attributes = Attributes { rest: &name[end..] };
            attributes.by_ref().for_each(drop);
            rest = attributes.rest;
        } else if rest.first().is_some_and(|b| matches!(b, b'!' | b'/' | b'?')) {
            rest = &rest[memchr(b'>', rest)?..];
        }
    }
}

fn starts_meta(rest: &[u8]) -> bool {
    rest.len() > 4 && rest[..4].eq_ignore_ascii_case(b"meta") && (rest[4].is_ascii_whitespace() || rest[4] == b'/')
}

fn in_meta<'a>(attributes: &mut Attributes<'a>) -> Option<&'a str> {
    let (mut charset, mut content, mut is_type) = (None, None, false);
    for (name, value) in attributes.by_ref() {
        if name.eq_ignore_ascii_case(b"charset") && charset.is_none() {
            charset = label(value);
        } else if name.eq_ignore_ascii_case(b"content") && content.is_none() {
            content = label(value).and_then(in_content);
        } else if name.eq_ignore_ascii_case(b"http-equiv") {
            is_type = value.eq_ignore_ascii_case(b"content-type");
        }
    }
    charset.or(content.filter(|_| is_type))
}

/// The label behind `charset=` in the `content` of a `<meta http-equiv>`, which follows looser rules than a header.
fn in_content(content: &str) -> Option<&str> {
    let at = content.as_bytes().windows(7).position(|window| window.eq_ignore_ascii_case(b"charset"))?;
    let value = content[at + 7..].trim_start().strip_prefix('=')?.trim_start();
    let value = value.trim_start_matches(['"', '\'']);
    value.split(|c: char| c == ';' || c == '"' || c == '\'' || c.is_ascii_whitespace()).next()
}

fn label(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

/// The attributes of a tag, name and value, until its `>`, which is left.
struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    fn skip(&mut self, mut unwanted: impl FnMut(u8) -> bool) {
        let to = self.rest.iter().position(|b| !unwanted(*b)).unwrap_or(self.rest.len());
        self.rest = &self.rest[to..];
    }

    fn until(&mut self, mut end: impl FnMut(u8) -> bool) -> &'a [u8] {
        let to = self.rest.iter().position(|b| end(*b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(to);
        self.rest = rest;
        taken
    }

    fn value(&mut self) -> &'a [u8] {
        self.skip(|b| b.is_ascii_whitespace());
        match self.rest.first() {
            Some(&quote @ (b'"' | b'\'')) => {
                self.rest = &self.rest[1..];
                let value = self.until(|b| b == quote);
                self.rest = self.rest.get(1..).unwrap_or_default();
                value
            }
            _ => self.until(|b| b.is_ascii_whitespace() || b == b'>'),
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip(|b| b.is_ascii_whitespace() || b == b'/');
        if matches!(self.rest.first(), None | Some(b'>')) {
            return None;
        }
        // A name may begin with an equals sign, so that each turn takes at least one byte.
        let whole = self.rest;
        self.rest = &self.rest[1..];
        let more = self.until(|b| b.is_ascii_whitespace() || matches!(b, b'=' | b'/' | b'>')).len();
        let name = &whole[..1 + more];
        self.skip(|b| b.is_ascii_whitespace());
        if self.rest.first() != Some(&b'=') {
            return Some((name, &[]));
        }
        self.rest = &self.rest[1..];
        let value = self.value();
        Some((name, value.trim_ascii()))
    }
}

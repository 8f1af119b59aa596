//! The tokenizer: a page taken apart into tags and texts, as HTML defines it, in one pass.
//!
//! html5ever has a tokenizer too. It looks through all attributes of a tag for each new one, so that one tag with a
//! hundred thousand attributes keeps it busy for minutes, and it enters every name in a table that all threads share.
//! This one keeps [`MOST_ATTRIBUTES`] of a tag, and attributes go to the tree without passing the tree builder: a tag
//! carries the number of its list ([`Lists`]).

use std::collections::HashMap;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{Doctype, EndTag, StartTag, Tag, Token, TokenSink, TokenSinkResult};
use html5ever::{Attribute, LocalName, QualName, local_name, ns};
use memchr::{memchr, memchr2, memmem};

use super::references;

/// How many attributes of one tag are kept.
const MOST_ATTRIBUTES: usize = 128;

/// Where attributes are kept.
pub(super) trait Lists {
    /// Begins the list of a tag and gives its number.
    fn begin(&self) -> u32;
    /// Adds to the list that was begun last.
    fn add(&self, name: &str, value: &str);
    /// Ends it.
    fn end(&self);
}

/// Reads a page and hands its tokens to `sink`.
pub(super) fn tokenize<S: TokenSink, L: Lists>(page: &StrTendril, sink: &S, lists: &L) {
    let mut tokenizer =
        Tokenizer { page, at: 0, sink, lists, formatting: HashMap::new(), value: String::new(), name: String::new() };
    tokenizer.data();
    let _ = tokenizer.emit(Token::EOFToken);
    sink.end();
}

struct Tokenizer<'a, S, L> {
    page: &'a StrTendril,
    at: usize,
    sink: &'a S,
    lists: &'a L,
    /// The list of each text of a formatting tag: the tree builder compares these, and they repeat.
    formatting: HashMap<&'a str, u32>,
    /// Room for the value and the name of an attribute.
    value: String,
    name: String,
}

/// What the tree builder looks at in attributes: the others are not shown to it.
fn is_shown(tag: &LocalName, attribute: &str) -> bool {
    match *tag {
        local_name!("input") => attribute == "type",
        local_name!("annotation-xml") => attribute == "encoding",
        local_name!("font") => matches!(attribute, "color" | "face" | "size"),
        _ => false,
    }
}

/// Elements that the tree builder opens again where they were not closed.
fn is_formatting(tag: &LocalName) -> bool {
    matches!(
        *tag,
        local_name!("b")
            | local_name!("big")
            | local_name!("code")
            | local_name!("em")
            | local_name!("font")
            | local_name!("i")
            | local_name!("nobr")
            | local_name!("s")
            | local_name!("small")
            | local_name!("strike")
            | local_name!("strong")
            | local_name!("tt")
            | local_name!("u")
    )
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

impl<'a, S: TokenSink, L: Lists> Tokenizer<'a, S, L> {
    fn text(&self) -> &'a str {
        self.page
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.page.as_bytes().get(at).copied()
    }

    fn end(&self) -> usize {
        self.page.len()
    }

    /// The place of `needle` from `from` on, or the end of the page.
    fn find(&self, needle: u8, from: usize) -> usize {
        self.page.as_bytes().get(from..).and_then(|rest| memchr(needle, rest)).map_or(self.end(), |at| from + at)
    }

    fn emit(&self, token: Token) -> TokenSinkResult<S::Handle> {
        self.sink.process_token(token, 1)
    }

    /// A text as it stands in the page.
    fn emit_text(&self, start: usize, end: usize) {
        if let (true, Ok(start), Ok(length)) =
            (start < end, u32::try_from(start), u32::try_from(end.saturating_sub(start)))
        {
            let _ = self.emit(Token::CharacterTokens(self.page.subtendril(start, length)));
        }
    }

    /// A text with character references.
    fn emit_references(&self, start: usize, end: usize) {
        let mut at = start;
        while at < end {
            let next = memchr(b'&', &self.page.as_bytes()[at..end]).map_or(end, |found| at + found);
            self.emit_text(at, next);
            at = next;
            if at < end {
                match references::decode(&self.text()[at..end], false) {
                    Some((decoded, length)) => {
                        let _ = self.emit(Token::CharacterTokens(StrTendril::from_slice(decoded.as_str())));
                        at += length;
                    }
                    None => {
                        self.emit_text(at, at + 1);
                        at += 1;
                    }
                }
            }
        }
    }

    fn data(&mut self) {
        let mut start = self.at;
        while self.at < self.end() {
            self.at = self.find(b'<', self.at);
            let next = self.byte(self.at + 1);
            let is_markup = match next {
                Some(b'/') => self.at + 2 < self.end(),
                Some(b'!' | b'?') => true,
                Some(byte) => byte.is_ascii_alphabetic(),
                None => false,
            };
            if !is_markup {
                self.at = (self.at + 1).min(self.end());
                continue;
            }
            self.emit_references(start, self.at);
            self.at += 1;
            match next {
                Some(b'!') => self.declaration(),
                Some(b'?') => self.at = self.find(b'>', self.at) + 1,
                Some(b'/') => self.end_tag(),
                _ => self.tag(StartTag),
            }
            self.at = self.at.min(self.end());
            start = self.at;
        }
        self.emit_references(start, self.end());
    }

    /// After `<!`.
    fn declaration(&mut self) {
        let rest = &self.text()[self.at + 1..];
        if let Some(comment) = rest.strip_prefix("--") {
            self.at = self.end() - comment.len() + comment_length(comment);
        } else if rest.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("doctype")) {
            let name =
                rest[7..].trim_start().split(|c: char| c.is_ascii_whitespace() || c == '>').next().unwrap_or_default();
            let doctype =
                Doctype { name: Some(StrTendril::from_slice(&name.to_ascii_lowercase())), ..Doctype::default() };
            let _ = self.emit(Token::DoctypeToken(doctype));
            self.at = self.find(b'>', self.at) + 1;
        } else if rest.starts_with("[CDATA[") && self.sink.adjusted_current_node_present_but_not_in_html_namespace() {
            let start = self.at + "![CDATA[".len();
            let end = memmem::find(&self.page.as_bytes()[start..], b"]]>").map_or(self.end(), |at| start + at);
            self.emit_text(start, end);
            self.at = end + 3;
        } else {
            self.at = self.find(b'>', self.at) + 1;
        }
    }

    /// After `<`, before `/`.
    fn end_tag(&mut self) {
        self.at += 1;
        match self.byte(self.at) {
            Some(byte) if byte.is_ascii_alphabetic() => self.tag(EndTag),
            _ => self.at = self.find(b'>', self.at) + 1,
        }
    }

    /// Before the name of a tag.
    fn tag(&mut self, kind: html5ever::tokenizer::TagKind) {
        let start = self.at;
        while self.byte(self.at).is_some_and(|byte| !is_space(byte) && !matches!(byte, b'/' | b'>')) {
            self.at += 1;
        }
        let name = &self.text()[start..self.at];
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            LocalName::from(name.to_ascii_lowercase())
        } else {
            LocalName::from(name)
        };
        let mut tag = Tag { kind, name, self_closing: false, attrs: Vec::new(), had_duplicate_attributes: false };
        let list = (kind == StartTag).then(|| self.lists.begin());
        let Some(count) = self.attributes(&mut tag) else { return };
        if let Some(mut list) = list.filter(|_| count > 0) {
            self.lists.end();
            if is_formatting(&tag.name) {
                list = *self.formatting.entry(&self.page[start..self.at]).or_insert(list);
            }
            let name = QualName::new(None, ns!(), local_name!(""));
            tag.attrs.push(Attribute { name, value: StrTendril::from_slice(&format!("{list:x}")) });
        }
        let name = tag.name.clone();
        match self.emit(Token::TagToken(tag)) {
            TokenSinkResult::RawData(kind) => self.raw(&name, kind),
            TokenSinkResult::Plaintext => {
                self.emit_text(self.at, self.end());
                self.at = self.end();
            }
            TokenSinkResult::Continue | TokenSinkResult::Script(_) | TokenSinkResult::EncodingIndicator(_) => {}
        }
    }

    /// From behind the name of a tag to behind its `>`: how many attributes there are. `None` if the page ends before.
    fn attributes(&mut self, tag: &mut Tag) -> Option<usize> {
        let mut seen: Vec<&'a str> = Vec::new();
        loop {
            let mut slash = false;
            while let Some(byte) = self.byte(self.at).filter(|&byte| is_space(byte) || byte == b'/') {
                slash = byte == b'/';
                self.at += 1;
            }
            if self.byte(self.at)? == b'>' {
                tag.self_closing = slash;
                self.at += 1;
                return Some(seen.len());
            }
            let start = self.at;
            self.at += 1;
            while self.byte(self.at).is_some_and(|byte| !is_space(byte) && !matches!(byte, b'/' | b'>' | b'=')) {
                self.at += 1;
            }
            // A name may begin with a letter of several bytes; it ends before an ASCII sign.
            let name = self.text().get(start..self.at).unwrap_or_default();
            let value = self.value()?;
            if tag.kind == StartTag && seen.len() < MOST_ATTRIBUTES && !seen.contains(&name) {
                seen.push(name);
                self.keep(tag, name, value);
            }
        }
    }

    fn keep(&mut self, tag: &mut Tag, name: &str, value: &str) {
        self.name.clear();
        self.name.extend(name.chars().map(|c| c.to_ascii_lowercase()));
        let value = if value.contains('&') {
            self.value.clear();
            references::decode_attribute(value, &mut self.value);
            self.value.as_str()
        } else {
            value
        };
        self.lists.add(&self.name, value);
        if is_shown(&tag.name, &self.name) {
            let name = QualName::new(None, ns!(), LocalName::from(self.name.as_str()));
            tag.attrs.push(Attribute { name, value: StrTendril::from_slice(value.get(..64).unwrap_or(value)) });
        }
    }

    /// The value of an attribute, if one follows.
    fn value(&mut self) -> Option<&'a str> {
        let after_name = self.at;
        while is_space(self.byte(self.at)?) {
            self.at += 1;
        }
        if self.byte(self.at)? != b'=' {
            self.at = after_name;
            return Some("");
        }
        self.at += 1;
        while is_space(self.byte(self.at)?) {
            self.at += 1;
        }
        match self.byte(self.at)? {
            quote @ (b'"' | b'\'') => {
                let start = self.at + 1;
                let end = self.find(quote, start);
                self.at = end + 1;
                (end < self.end()).then(|| &self.text()[start..end])
            }
            _ => {
                let start = self.at;
                while self.byte(self.at).is_some_and(|byte| !is_space(byte) && byte != b'>') {
                    self.at += 1;
                }
                Some(&self.text()[start..self.at])
            }
        }
    }

    /// The content of an element that holds text alone, up to its end tag, which is left for [`Self::data`].
    fn raw(&mut self, name: &LocalName, kind: RawKind) {
        let start = self.at;
        let end = match kind {
            RawKind::ScriptData | RawKind::ScriptDataEscaped(_) => self.script_end(start),
            RawKind::Rcdata | RawKind::Rawtext => self.end_tag_of(name, start).unwrap_or(self.end()),
        };
        match kind {
            RawKind::Rcdata => self.emit_references(start, end),
            RawKind::Rawtext | RawKind::ScriptData | RawKind::ScriptDataEscaped(_) => self.emit_text(start, end),
        }
        self.at = end;
    }

    fn end_tag_of(&self, name: &str, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            at = self.find(b'<', at);
            if at >= self.end() {
                return None;
            }
            if self.byte(at + 1) == Some(b'/') && self.is_name(name, at + 2) {
                return Some(at);
            }
            at += 1;
        }
    }

    /// Whether a tag name stands at a place.
    fn is_name(&self, name: &str, at: usize) -> bool {
        let bytes = self.page.as_bytes();
        bytes.get(at..at + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
            && self.byte(at + name.len()).is_some_and(|byte| is_space(byte) || matches!(byte, b'/' | b'>'))
    }

    /// The end of a script: a script may hold a comment, and that another script with its end.
    fn script_end(&self, from: usize) -> usize {
        let bytes = self.page.as_bytes();
        let (mut at, mut comment, mut nested) = (from, false, false);
        while let Some(found) = memchr2(b'<', b'-', bytes.get(at..).unwrap_or_default()) {
            at += found;
            if bytes[at..].starts_with(b"-->") {
                (comment, nested) = (false, false);
                at += 3;
            } else if bytes[at..].starts_with(b"<!--") {
                comment = true;
                // `<!-->` is a comment that ends here.
                at += 2;
            } else if bytes[at..].starts_with(b"</") && self.is_name("script", at + 2) {
                if !nested {
                    return at;
                }
                nested = false;
                at += 8;
            } else {
                nested |= comment && bytes[at] == b'<' && self.is_name("script", at + 1);
                at += 1;
            }
        }
        self.end()
    }
}

/// How long a comment is, from behind `<!--` to behind its end.
fn comment_length(comment: &str) -> usize {
    if comment.starts_with('>') {
        return 1;
    }
    if comment.starts_with("->") {
        return 2;
    }
    let bytes = comment.as_bytes();
    let mut from = 0;
    while let Some(found) = memchr(b'>', &bytes[from..]) {
        let end = from + found;
        if bytes[..end].ends_with(b"--") || bytes[..end].ends_with(b"--!") {
            return end + 1;
        }
        from = end + 1;
    }
    bytes.len()
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;

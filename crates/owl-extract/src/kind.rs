//! What a document is: decided by what it was declared as and by its bytes, as browsers do (WHATWG MIME Sniffing), with
//! two differences. What browsers would save to disk is read where it can be, and a declared type that the bytes cannot
//! be is not believed: servers send PDF as HTML, JSON as HTML, and feeds as anything.

use std::borrow::Cow;

use crate::document::Source;
use crate::sniff;

/// How a document is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Html,
    Markdown,
    /// One JSON value; a JSON Feed too.
    Json,
    /// Feeds too.
    Xml,
    /// Separated by commas, or whatever it turns out to be.
    Csv,
    Tsv,
    Pdf,
    Text,
    /// No text that can be read.
    Binary,
}

/// What a document is, and the media type that it is given in results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) kind: Kind,
    pub(crate) media_type: Cow<'a, str>,
}

/// What begins an HTML page that says no type (WHATWG, 7.1, without the byte that must follow).
const HTML_BEGINNINGS: &[&str] = &[
    "<!doctype html",
    "<html",
    "<head",
    "<body",
    "<script",
    "<iframe",
    "<h1",
    "<div",
    "<font",
    "<table",
    "<a ",
    "<a>",
    "<style",
    "<title",
    "<b>",
    "<br",
    "<p>",
    "<p ",
    "<!--",
    "<meta",
    "<main",
    "<article",
    "<section",
    "<nav",
    "<header",
    "<span",
    "<ul",
];

/// Root elements of feeds.
const FEEDS: &[&[u8]] = &[b"rss", b"feed", b"RDF"];

impl Kind {
    /// The type of what was declared as another.
    fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html",
            Self::Markdown => "text/markdown",
            Self::Json => "application/json",
            Self::Xml => "application/xml",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
            Self::Pdf => "application/pdf",
            Self::Text => "text/plain",
            Self::Binary => "application/octet-stream",
        }
    }

    /// What a declared type is read as; `None` for one that says nothing about text.
    fn of_declared(essence: &str) -> Option<Self> {
        Some(match essence {
            "text/html" | "application/xhtml+xml" => Self::Html,
            "text/markdown" | "text/x-markdown" => Self::Markdown,
            "text/csv" | "application/csv" => Self::Csv,
            "text/tab-separated-values" => Self::Tsv,
            "application/json" | "text/json" | "text/x-json" => Self::Json,
            "application/xml" | "text/xml" => Self::Xml,
            "application/pdf" | "application/x-pdf" => Self::Pdf,
            _ if essence.ends_with("+json") => Self::Json,
            _ if essence.ends_with("+xml") => Self::Xml,
            _ if essence.starts_with("text/") || is_text_application(essence) => Self::Text,
            _ => return None,
        })
    }

    /// What a name in the URL is read as, where a type says no more than that it is text.
    fn of_name(url: &str) -> Option<Self> {
        let path = url.split(['?', '#']).next().unwrap_or(url);
        let name = path.rsplit('/').next().unwrap_or(path);
        let (_, extension) = name.rsplit_once('.')?;
        Some(match extension.to_ascii_lowercase().as_str() {
            "md" | "markdown" | "mkd" => Self::Markdown,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            _ => return None,
        })
    }
}

/// Texts whose types begin with `application/`.
fn is_text_application(essence: &str) -> bool {
    const NAMES: &[&str] = &[
        "javascript",
        "ecmascript",
        "x-javascript",
        "typescript",
        "yaml",
        "x-yaml",
        "toml",
        "x-toml",
        "sql",
        "graphql",
        "x-sh",
        "x-httpd-php",
        "x-ndjson",
        "ndjson",
        "jsonl",
        "json-lines",
        "x-jsonlines",
        "json-seq",
        "x-tex",
        "x-latex",
        "x-subrip",
        "x-perl",
        "x-python",
        "x-ruby",
        "rtf",
        "x-www-form-urlencoded",
        "n-triples",
        "n-quads",
        "trig",
        "sparql-query",
        "x-bibtex",
        "x-research-info-systems",
    ];
    essence.strip_prefix("application/").is_some_and(|name| NAMES.contains(&name))
}

/// Decides.
pub(crate) fn find<'a>(source: &Source<'a>) -> Found<'a> {
    let essence = essence(source.content_type);
    let declared = Kind::of_declared(&essence);
    let kind = decide(source, declared);
    let media_type = match kind {
        Kind::Binary => binary_name(source.bytes, &essence, declared),
        kind if declared == Some(kind) => essence,
        kind => Cow::Borrowed(kind.media_type()),
    };
    Found { kind, media_type }
}

fn decide(source: &Source<'_>, declared: Option<Kind>) -> Kind {
    let bytes = source.bytes;
    if sniff::is_pdf(bytes) {
        return Kind::Pdf;
    }
    // Markup and JSON may hold a stray control byte; what has a signature, or was called a text without one, may not.
    let may_stray = matches!(declared, Some(Kind::Html | Kind::Xml | Kind::Json));
    if sniff::is_binary(bytes) && !is_utf16(source) && (!may_stray || sniff::binary_type(bytes).is_some()) {
        return Kind::Binary;
    }
    match declared {
        Some(Kind::Html) => sniff_feed(bytes).or_else(|| sniff_json(bytes)).unwrap_or(Kind::Html),
        Some(Kind::Xml) if sniff::root_element(bytes).is_some_and(|root| root.eq_ignore_ascii_case(b"html")) => {
            Kind::Html
        }
        Some(Kind::Text) if essence(source.content_type) != "text/plain" => Kind::Text,
        // Never taken for HTML: a page of source code is meant to be read as such.
        Some(Kind::Text) => sniff_json(bytes).or_else(|| Kind::of_name(source.url)).unwrap_or(Kind::Text),
        Some(kind @ (Kind::Xml | Kind::Markdown | Kind::Json | Kind::Csv | Kind::Tsv)) => kind,
        Some(Kind::Pdf | Kind::Binary) | None => sniffed(source),
    }
}

/// By the bytes, and the name where they say nothing.
fn sniffed(source: &Source<'_>) -> Kind {
    let bytes = source.bytes;
    let text = trimmed(bytes);
    let begins = |beginning: &&str| {
        text.get(..beginning.len()).is_some_and(|head| head.eq_ignore_ascii_case(beginning.as_bytes()))
    };
    if let Some(kind) = sniff_feed(bytes).or_else(|| sniff_json(bytes)) {
        return kind;
    }
    let root_is_html = || sniff::root_element(bytes).is_some_and(|root| root.eq_ignore_ascii_case(b"html"));
    if HTML_BEGINNINGS.iter().any(begins) || (text.starts_with(b"<?xml") && root_is_html()) {
        return Kind::Html;
    }
    if text.starts_with(b"<?xml") || (text.starts_with(b"<!DOCTYPE") && sniff::root_element(bytes).is_some()) {
        return Kind::Xml;
    }
    Kind::of_name(source.url).unwrap_or(Kind::Text)
}

fn sniff_feed(bytes: &[u8]) -> Option<Kind> {
    let root = sniff::root_element(bytes)?;
    FEEDS.contains(&root).then_some(Kind::Xml)
}

/// An object or array from the first byte to the last; whether it is one in truth is found when it is read.
fn sniff_json(bytes: &[u8]) -> Option<Kind> {
    let text = trimmed(bytes);
    let (first, last) = (text.first()?, text.last()?);
    let second = text[1..].trim_ascii_start().first()?;
    let object = *first == b'{' && *last == b'}' && matches!(second, b'"' | b'}');
    let array = *first == b'[' && *last == b']' && matches!(second, b'"' | b'{' | b'[' | b']' | b'0'..=b'9' | b'-');
    (object || array).then_some(Kind::Json)
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii()
}

fn is_utf16(source: &Source<'_>) -> bool {
    let declared = source.content_type.is_some_and(|text| text.to_ascii_lowercase().contains("utf-16"));
    // Every other byte of western text in UTF-16 is zero, and none of the others are.
    let alternates = |from: usize| {
        let head = &source.bytes[..source.bytes.len().min(512)];
        let zeros = head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
        let others = head.iter().skip(1 - from).step_by(2).filter(|byte| **byte == 0).count();
        head.len() >= 8 && others == 0 && zeros * 10 >= head.len() * 4
    };
    declared || alternates(0) || alternates(1)
}

/// The media type without parameters, in small letters.
fn essence(content_type: Option<&str>) -> Cow<'_, str> {
    let text = content_type.unwrap_or_default().split([';', ',']).next().unwrap_or_default().trim();
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// What a file without text is called: by its signature, else as it was declared, unless that was a text.
fn binary_name<'a>(bytes: &[u8], essence: &str, declared: Option<Kind>) -> Cow<'a, str> {
    const UNKNOWN: &str = "application/octet-stream";
    if let Some(found) = sniff::binary_type(bytes) {
        return Cow::Borrowed(found);
    }
    // It ends in a sentence: nothing but the characters of a media type may stand in it.
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'+' | b'.' | b'_');
    let is_usable = declared.is_none()
        && (3..=100).contains(&essence.len())
        && essence.contains('/')
        && essence.bytes().all(is_name);
    if is_usable { Cow::Owned(essence.to_owned()) } else { Cow::Borrowed(UNKNOWN) }
}

#[cfg(test)]
mod tests;

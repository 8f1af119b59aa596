//! What goes in and what comes out, whatever the type of the document.

use std::fmt;

use crate::charset::{self, Declares};
use crate::kind::{self, Found, Kind};
use crate::{feed, html, json, pdf, table, text, xml};

/// A document as it came.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its bytes, after any `Content-Encoding` was undone.
    pub bytes: &'a [u8],
    /// The value of its `Content-Type`, parameters included, if it had one.
    pub content_type: Option<&'a str>,
    /// The absolute URL that relative links start from: where it came from after all redirects.
    pub url: &'a str,
}

/// In which form a document is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Markdown (CommonMark with tables): the main content of a page.
    #[default]
    Markdown,
    /// The same content as plain text.
    Text,
    /// The text as it came, decoded and nothing else.
    Raw,
}

/// How a document is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The form.
    pub mode: Mode,
    /// A CSS selector: what it matches is taken instead of the main content. For HTML alone.
    pub selector: Option<&'a str>,
    /// Whether [`Document::links`] is filled.
    pub links: bool,
}

/// What made the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extractor {
    /// The main content of an HTML page was found.
    Readable,
    /// The whole visible content of an HTML page: no part of it stands out.
    Page,
    /// What the selector matched.
    Selector,
    /// Markdown, as it came.
    Markdown,
    /// JSON, indented.
    Json,
    /// RSS, Atom or JSON Feed.
    Feed,
    /// Other XML, indented.
    Xml,
    /// CSV or TSV.
    Csv,
    /// The text of a PDF, page by page.
    Pdf,
    /// Plain text, as it came.
    Text,
    /// Whatever it is, as it came ([`Mode::Raw`]).
    Raw,
}

/// A link of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its text, on one line.
    pub text: String,
    /// Where it leads, absolute.
    pub url: String,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The title, on one line.
    pub title: Option<String>,
    /// The content.
    pub text: String,
    /// What made the text.
    pub extractor: Extractor,
    /// What the bytes were taken for: a media type without parameters, such as `text/html`.
    pub media_type: String,
    /// The links of the content in their order, each address once; empty unless they were asked for.
    pub links: Vec<Link>,
}

/// Why there is no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtractError {
    /// This type holds no text that can be read here (a picture, an archive, a program …).
    Unsupported {
        /// What it is: a media type without parameters.
        media_type: String,
        /// How large it is.
        bytes: usize,
    },
    /// The selector is no CSS selector.
    InvalidSelector(String),
    /// The selector matches nothing on the page.
    NothingSelected,
    /// The document is broken, or protected; the text says how, without a byte of the document.
    Damaged(&'static str),
    /// Reading it would take more than is allowed; the text says what of.
    TooLarge(&'static str),
}

impl Document {
    /// One without links.
    pub(crate) fn new(title: Option<String>, text: String, extractor: Extractor, media_type: String) -> Self {
        Self { title, text, extractor, media_type, links: Vec::new() }
    }
}

impl Extractor {
    /// The name in results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Readable => "readable",
            Self::Page => "page",
            Self::Selector => "selector",
            Self::Markdown => "markdown",
            Self::Json => "json",
            Self::Feed => "feed",
            Self::Xml => "xml",
            Self::Csv => "csv",
            Self::Pdf => "pdf",
            Self::Text => "text",
            Self::Raw => "raw",
        }
    }
}

impl ExtractError {
    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "doc_type_unsupported",
            Self::InvalidSelector(_) => "invalid_selector",
            Self::NothingSelected => "nothing_selected",
            Self::Damaged(_) => "doc_damaged",
            Self::TooLarge(_) => "doc_too_large",
        }
    }
}

impl fmt::Display for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported { media_type, bytes } => {
                write!(f, "this is {media_type} ({bytes} bytes), which holds no text that can be read here")
            }
            Self::InvalidSelector(reason) => write!(f, "the selector is not a CSS selector: {reason}"),
            Self::NothingSelected => f.write_str("the selector matches nothing on this page"),
            Self::Damaged(what) => write!(f, "the document cannot be read: {what}"),
            Self::TooLarge(what) => write!(f, "the document is too large to be read: {what}"),
        }
    }
}

impl std::error::Error for ExtractError {}

/// Reads a document.
///
/// # Errors
/// [`ExtractError`]: it holds no text, is broken, or the selector is wrong.
pub fn extract(source: Source<'_>, options: &Options<'_>) -> Result<Document, ExtractError> {
    let Found { kind, media_type } = kind::find(&source);
    let media_type = media_type.into_owned();
    let declares = match kind {
        Kind::Binary => return Err(ExtractError::Unsupported { media_type, bytes: source.bytes.len() }),
        Kind::Pdf => return pdf::read(source.bytes, options.mode),
        Kind::Html => Declares::Html,
        Kind::Xml => Declares::Xml,
        Kind::Markdown | Kind::Json | Kind::Csv | Kind::Tsv | Kind::Text => Declares::Nothing,
    };
    let text = charset::decode(&source, declares).text;
    if options.mode == Mode::Raw {
        let title = if kind == Kind::Html { None } else { text::title(&text) };
        return Ok(Document::new(title, text.into_owned(), Extractor::Raw, media_type));
    }
    let is_tsv = kind == Kind::Tsv;
    let read = match kind {
        Kind::Html => return Ok(Document { media_type, ..html::read(&text, source.url, options)? }),
        Kind::Json => feed::json(&text, source.url, options)
            .or_else(|| Some(Document::new(None, json::indent(&text)?, Extractor::Json, String::new()))),
        Kind::Xml => feed::xml(&text, source.url, options)
            .or_else(|| Some(Document::new(None, xml::indent(&text)?, Extractor::Xml, String::new()))),
        Kind::Csv | Kind::Tsv => table::read(&text, is_tsv, options.mode)
            .map(|table| Document::new(None, table, Extractor::Csv, String::new())),
        Kind::Markdown => {
            Some(Document::new(text::title(&text), text.clone().into_owned(), Extractor::Markdown, String::new()))
        }
        Kind::Text | Kind::Pdf | Kind::Binary => None,
    };
    // What is not what it was called is a text all the same.
    let read =
        read.unwrap_or_else(|| Document::new(text::title(&text), text.into_owned(), Extractor::Text, String::new()));
    Ok(Document { media_type, ..read })
}

//! What goes in and what comes out, whatever the type of the document.

use std::fmt;

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
    let text = crate::charset::decode(&source, crate::charset::Declares::Html).text;
    crate::html::read(&text, source.url, options)
}

//! HTML: the tree, what of it is the content, and how that is written.
//!
//! Reading order: [`dom`], [`content`] (which part is the content), [`survey`], [`words`] and [`hidden`] (what it is judged
//! by), [`prune`] (what is left out of it), [`plain`] (as text).

pub(crate) mod content;
pub(crate) mod dom;
pub(crate) mod hidden;
mod phrases;
pub(crate) mod plain;
mod prune;
mod references;
mod survey;
pub(crate) mod title;
mod tokens;
mod words;

use crate::document::{Document, ExtractError, Extractor, Mode, Options};

/// Reads a page: `text` is decoded, `url` is where relative links start from.
///
/// # Errors
/// The selector is wrong, or matches nothing.
pub(crate) fn read(text: &str, url: &str, options: &Options<'_>) -> Result<Document, ExtractError> {
    let _ = (url, options.links, options.selector);
    let dom = dom::Dom::parse(text);
    let title = title::title(&dom);
    let content = content::find(&dom, title.as_deref());
    let extractor = if content.readable { Extractor::Readable } else { Extractor::Page };
    let text = match options.mode {
        Mode::Markdown | Mode::Text | Mode::Raw => plain::write(&dom, &content),
    };
    Ok(Document { title, text, extractor, media_type: "text/html".to_owned(), links: Vec::new() })
}

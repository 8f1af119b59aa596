//! HTML: the tree, what of it is the content, and how that is written.
//!
//! Reading order: [`dom`] (filled from `tokens` and `references`), [`content`] (which part is the content), [`survey`],
//! [`words`] and [`hidden`] (what it is judged by), [`prune`] and [`phrases`] (what is left out of it), [`markdown`] and
//! [`plain`] (how it is written),
//! [`title`], [`select`] (a part that was asked for).

pub(crate) mod content;
pub(crate) mod dom;
pub(crate) mod hidden;
pub(crate) mod markdown;
mod phrases;
pub(crate) mod plain;
mod prune;
mod references;
mod select;
mod survey;
pub(crate) mod title;
mod tokens;
mod words;

use crate::document::{Document, ExtractError, Extractor, Mode, Options};

use self::content::Content;
use self::dom::Dom;

/// Reads a page: `text` is decoded, `url` is where relative links start from.
///
/// # Errors
/// The selector is wrong, or matches nothing that is seen.
pub(crate) fn read(text: &str, url: &str, options: &Options<'_>) -> Result<Document, ExtractError> {
    let selectors =
        options.selector.map(select::Selectors::parse).transpose().map_err(ExtractError::InvalidSelector)?;
    let dom = Dom::parse(text);
    let title = title::title(&dom);
    let content = match &selectors {
        Some(selectors) => selected(&dom, selectors)?,
        None => content::find(&dom, title.as_deref(), options.mode == Mode::Markdown),
    };
    let (text, links) = match options.mode {
        Mode::Markdown | Mode::Raw => {
            let written = markdown::write(&dom, &content, url, options.links);
            (written.text, written.links)
        }
        Mode::Text => {
            let links = if options.links { markdown::write(&dom, &content, url, true).links } else { Vec::new() };
            (plain::write(&dom, &content), links)
        }
    };
    Ok(Document { title, text, extractor: content.extractor, media_type: "text/html".to_owned(), links })
}

/// An element that a selector matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// Its text, hidden parts too, with single spaces.
    pub text: String,
    /// Its `class`, or nothing.
    pub class: String,
    /// Its `href`, as it is written there.
    pub href: Option<String>,
}

/// The elements of a page that a CSS selector matches, in the order of the page, without those that are in another of them.
/// For pages whose make is known; [`extract`](crate::extract) is for all others.
///
/// # Errors
/// What is wrong with the selector.
pub fn select(html: &str, selector: &str) -> Result<Vec<Selected>, String> {
    let selectors = select::Selectors::parse(selector)?;
    let dom = Dom::parse(html);
    let selected = |id| Selected {
        text: dom.text_content(id).split_whitespace().collect::<Vec<_>>().join(" "),
        class: dom.attr(id, "class").unwrap_or_default().to_owned(),
        href: dom.attr(id, "href").map(str::to_owned),
    };
    Ok(selectors.select(&dom).into_iter().map(selected).collect())
}

/// A piece of HTML that is content as a whole, in the form asked for.
pub(crate) fn fragment(text: &str, url: &str, mode: Mode) -> String {
    let dom = Dom::parse(text);
    let root = dom.root();
    let mut dropped = vec![false; dom.len()];
    for id in dom.descendants(root) {
        dropped[id.index()] = hidden::is_hidden(&dom, id);
    }
    let content = Content { roots: vec![root], dropped, extractor: Extractor::Page };
    let written = match mode {
        Mode::Markdown | Mode::Raw => markdown::write(&dom, &content, url, false).text,
        Mode::Text => plain::write(&dom, &content),
    };
    written.trim().to_owned()
}

/// What the selector matches, without what is hidden in it.
fn selected(dom: &Dom, selectors: &select::Selectors) -> Result<Content, ExtractError> {
    let seen = |id: dom::NodeId| !std::iter::once(id).chain(dom.ancestors(id)).any(|id| hidden::is_hidden(dom, id));
    let roots: Vec<_> = selectors.select(dom).into_iter().filter(|&id| seen(id)).collect();
    if roots.is_empty() {
        return Err(ExtractError::NothingSelected);
    }
    let mut dropped = vec![false; dom.len()];
    for &root in &roots {
        for id in dom.descendants(root) {
            dropped[id.index()] = hidden::is_hidden(dom, id);
        }
    }
    Ok(Content { roots, dropped, extractor: Extractor::Selector })
}

/// At most the first `most` bytes of a text, without cutting a character.
fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests;

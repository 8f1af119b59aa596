//! A long text, piece by piece.

/// A piece of a text. Positions and lengths are in characters (Unicode scalar values), as models and scripts count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// The piece.
    pub text: &'a str,
    /// Where it begins.
    pub start: usize,
    /// Where the next piece begins; `None` when this is the last.
    pub next: Option<usize>,
    /// How long the whole text is.
    pub length: usize,
}

/// The piece of `text` from character `start` on, of at most `most` characters, cut where a reader would cut: between
/// paragraphs, else lines, sentences, words, and never inside a character that is made of several.
pub fn page(text: &str, start: usize, most: usize) -> Page<'_> {
    let length = text.chars().count();
    let start = start.min(length);
    let end = start.saturating_add(most).min(length);
    let offset = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    Page { text: &text[offset(start)..offset(end)], start, next: (end < length).then_some(end), length }
}

//! A long text, piece by piece.

use memchr::memchr;
use unicode_segmentation::GraphemeCursor;

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
///
/// It is at least half full, so that reading on always gets on; a code block is not cut when the page is a quarter full
/// before it. Zero is taken as one character, and one that is made of more than `most` is cut after all. Every page,
/// from zero and then from each `next`, put together is the text.
pub fn page(text: &str, start: usize, most: usize) -> Page<'_> {
    let length = text.chars().count();
    let start = start.min(length);
    let most = most.max(1);
    let begin = offset(text, start);
    if length - start <= most {
        return Page { text: &text[begin..], start, next: None, length };
    }
    let rest = &text[begin..];
    let end = whole_characters(rest, offset(rest, most));
    let cut = Cuts::of(text, begin, begin + end).best().map_or(end, |at| at - begin);
    let piece = &rest[..cut];
    Page { text: piece, start, next: Some(start + piece.chars().count()), length }
}

fn offset(text: &str, characters: usize) -> usize {
    text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
}

/// The last place up to `end` that is not inside a character made of several; `end` itself if there is none but zero.
fn whole_characters(text: &str, end: usize) -> usize {
    if is_boundary(text, end) {
        return end;
    }
    let mut cursor = GraphemeCursor::new(end, text.len(), true);
    match cursor.prev_boundary(text, 0) {
        Ok(Some(at)) if at > 0 => at,
        _ => end,
    }
}

fn is_boundary(text: &str, at: usize) -> bool {
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(true)
}

/// Where a page may end: byte positions in the text, the last of each kind that leaves the page full enough.
struct Cuts<'a> {
    /// What the page can hold.
    window: &'a str,
    /// Where the page begins, and how far it can reach.
    begin: usize,
    end: usize,
    /// Between two paragraphs, the first of which is no heading; outside code blocks, as is `line`.
    paragraph: Option<usize>,
    line: Option<usize>,
    /// Before the code block that `end` is in.
    before_code: Option<usize>,
    code_line: Option<usize>,
    /// Whether `end` is inside a code block.
    in_code: bool,
}

impl<'a> Cuts<'a> {
    fn of(text: &'a str, begin: usize, end: usize) -> Self {
        let window = &text[begin..end];
        let mut cuts = Self {
            window,
            begin,
            end,
            paragraph: None,
            line: None,
            before_code: None,
            code_line: None,
            in_code: false,
        };
        let mut fence = None;
        let mut heading = false;
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &text.as_bytes()[at..end]) {
            let line = &text[at..at + length];
            at += length + 1;
            let was_open = fence.is_some();
            fence = after(fence, line);
            let blank = line.trim_ascii().is_empty();
            if !blank {
                heading = fence.is_none() && line.starts_with('#');
            }
            if at > begin {
                let opens = !was_open && fence.is_some();
                // Before the line that opens the block is where the line before it ended.
                let place = if opens { at - length - 1 } else { at };
                cuts.note(place, blank, heading, was_open && fence.is_some(), opens);
            }
        }
        // The line that is cut may be the one that ends the block, or begins one.
        cuts.in_code = after(fence, &text[at..end]).is_some();
        cuts
    }

    fn note(&mut self, at: usize, blank: bool, heading: bool, in_code: bool, opens: bool) {
        let (filled, all) = (at.saturating_sub(self.begin), self.end - self.begin);
        let half = filled * 2 >= all;
        match (opens, in_code) {
            (true, _) => self.before_code = (filled * 4 >= all).then_some(at),
            (false, true) if half => self.code_line = Some(at),
            (false, false) if half && blank && !heading => self.paragraph = Some(at),
            (false, false) if half && !heading => self.line = Some(at),
            _ => {}
        }
    }

    fn best(&self) -> Option<usize> {
        if self.in_code {
            return self.before_code.filter(|at| *at > self.begin).or(self.code_line).or_else(|| self.word());
        }
        self.paragraph.or(self.line).or_else(|| self.sentence()).or_else(|| self.word())
    }

    fn sentence(&self) -> Option<usize> {
        self.last(|before, after| {
            let said = before.trim_end_matches(['"', '\'', ')', ']', '*', '_', '»', '”', '’', '」', '』', '）']);
            let wide = said.ends_with(['。', '！', '？']);
            let closed = !after.starts_with(['"', '」', '』', '”', '）', '。', '！', '？']);
            (wide && closed) || (before.ends_with(char::is_whitespace) && ends_sentence(said.trim_end()))
        })
    }

    fn word(&self) -> Option<usize> {
        self.last(|before, _| before.ends_with(char::is_whitespace))
    }

    /// The last place in the second half of the window for which `fits` holds, given a few characters on both sides.
    fn last(&self, fits: impl Fn(&str, &str) -> bool) -> Option<usize> {
        let half = self.window.len() / 2;
        let places = self.window.char_indices().rev().map(|(at, c)| at + c.len_utf8());
        let place = places.take_while(|at| *at >= half.max(1)).find(|&at| {
            let from = (at.saturating_sub(16)..=at).find(|&from| self.window.is_char_boundary(from)).unwrap_or(at);
            fits(&self.window[from..at], &self.window[at..]) && is_boundary(self.window, at)
        })?;
        Some(self.begin + place)
    }
}

fn ends_sentence(said: &str) -> bool {
    said.trim_end_matches(['"', '\'', ')', ']', '*', '_', '»', '”', '’'])
        .ends_with(['.', '!', '?', '…', '。', '！', '？'])
}

/// The fence that is open after a line: its character and length.
fn after(open: Option<(u8, usize)>, line: &str) -> Option<(u8, usize)> {
    // Quotes and lists put marks of their own before a fence.
    let line = line.trim_start_matches([' ', '>', '\t']);
    let line = line.strip_prefix("- ").unwrap_or(line).trim_start();
    let Some(&mark @ (b'`' | b'~')) = line.as_bytes().first() else { return open };
    let length = line.bytes().take_while(|b| *b == mark).count();
    let info = line[length..].trim();
    match open {
        _ if length < 3 => open,
        None if mark == b'`' && info.contains('`') => None,
        None => Some((mark, length)),
        Some((same, least)) if same == mark && length >= least && info.is_empty() => None,
        Some(_) => open,
    }
}

#[cfg(test)]
mod tests;

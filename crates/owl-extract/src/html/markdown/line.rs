//! The line that is being written: words, emphasis and links, with one space where the page has any number.

use super::escape::{self, Place};

/// What words are set in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Strong,
    Emphasis,
    Strike,
    /// A link, by its place in [`Line::addresses`].
    Link(usize),
}

/// What comes before the next word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    Nothing,
    Space,
    /// A space that is a line end in the page: nothing between two characters of a script without spaces.
    Wrap,
    Break,
}

/// A paragraph, a heading or a cell in the making.
///
/// Marks are only written when a word comes that they apply to, and closed before the next that they do not: none is
/// ever empty, has a space at its edge, or reaches into another block.
#[derive(Debug)]
pub(super) struct Line {
    text: String,
    gap: Gap,
    wanted: Vec<Mark>,
    /// The marks that are written and not closed, and where their text begins.
    open: Vec<(Mark, usize)>,
    /// Where links lead; `None` once one is closed.
    addresses: Vec<Option<String>>,
    /// In the cell of a table.
    pub(super) cell: bool,
}

impl Line {
    pub(super) fn new() -> Self {
        let (text, wanted, open, addresses) = (String::new(), Vec::new(), Vec::new(), Vec::new());
        Self { text, gap: Gap::Nothing, wanted, open, addresses, cell: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// How many marks are wanted, for [`Line::unmark`].
    pub(super) fn marks(&self) -> usize {
        self.wanted.len()
    }

    /// The words that follow are set in this.
    pub(super) fn mark(&mut self, mark: Mark) {
        if !self.wanted.contains(&mark) {
            self.wanted.push(mark);
        }
    }

    /// The words that follow are a link, unless they are in one.
    pub(super) fn link(&mut self, address: String) {
        if !self.wanted.iter().any(|mark| matches!(mark, Mark::Link(_))) {
            self.wanted.push(Mark::Link(self.addresses.len()));
            self.addresses.push(Some(address));
        }
    }

    /// The marks beyond so many are no longer wanted.
    pub(super) fn unmark(&mut self, marks: usize) {
        self.wanted.truncate(marks);
    }

    pub(super) fn space(&mut self) {
        if self.gap == Gap::Nothing {
            self.gap = Gap::Space;
        }
    }

    /// A line ends here. False when one did already, so that this ends the paragraph.
    pub(super) fn line_break(&mut self) -> bool {
        let first = self.gap != Gap::Break;
        self.gap = Gap::Break;
        first || self.text.is_empty()
    }

    /// Text of the page: its spaces collapse, as browsers show it.
    pub(super) fn text(&mut self, text: &str) {
        let mut rest = text;
        loop {
            let word = rest.trim_start_matches(is_space);
            if word.len() < rest.len() {
                let wraps = rest[..rest.len() - word.len()].contains('\n');
                if self.gap == Gap::Nothing {
                    self.gap = if wraps { Gap::Wrap } else { Gap::Space };
                }
            }
            if word.is_empty() {
                return;
            }
            let end = word.find(is_space).unwrap_or(word.len());
            self.word(&word[..end]);
            rest = &word[end..];
        }
    }

    fn word(&mut self, word: &str) {
        // Hints where a word may be broken are no part of it.
        let hints = ['\u{ad}', '\u{200b}', '\u{feff}'];
        let plain;
        let word = if word.contains(hints) {
            plain = word.replace(hints, "");
            &plain
        } else {
            word
        };
        let Some(first) = word.chars().next() else { return };
        self.settle(first);
        let link = self.open.iter().any(|(mark, _)| matches!(mark, Mark::Link(_)));
        escape::push(&mut self.text, word, Place { link, cell: self.cell });
    }

    /// Markdown, as it is.
    pub(super) fn raw(&mut self, markdown: &str) {
        if let Some(first) = markdown.chars().next() {
            self.settle(first);
            self.text.push_str(markdown);
        }
    }

    /// An image: in the link that it is in, and in no other mark.
    pub(super) fn image(&mut self, markdown: &str) {
        let marks = self.wanted.clone();
        self.wanted.retain(|mark| matches!(mark, Mark::Link(_)));
        self.raw(markdown);
        self.wanted = marks;
    }

    /// What was written; the next line begins, with the same marks wanted.
    pub(super) fn take(&mut self) -> String {
        while !self.open.is_empty() {
            self.close(false);
        }
        self.gap = Gap::Nothing;
        std::mem::take(&mut self.text)
    }

    /// Closes and opens marks for a word that begins with this character, and puts what comes before it.
    fn settle(&mut self, next: char) {
        if self.open.iter().map(|(mark, _)| mark).eq(&self.wanted) {
            return self.put_gap(next);
        }
        let addresses = &self.addresses;
        let is_due = |mark: &Mark| !matches!(mark, Mark::Link(at) if addresses[*at].is_none());
        let wanted: Vec<Mark> = self.wanted.iter().copied().filter(is_due).collect();
        let kept = self.open.iter().zip(&wanted).take_while(|((open, _), wanted)| open == *wanted).count();
        while self.open.len() > kept {
            self.close(self.gap == Gap::Nothing && next.is_alphanumeric());
        }
        self.put_gap(next);
        for &mark in &wanted[kept.min(wanted.len())..] {
            // A link that was closed just now is not begun again.
            let begin = match mark {
                Mark::Strong => "**",
                Mark::Emphasis => "*",
                Mark::Strike => "~~",
                Mark::Link(at) if self.addresses[at].is_none() => continue,
                Mark::Link(_) => {
                    if self.text.ends_with('!') {
                        self.text.insert(self.text.len() - 1, '\\');
                    }
                    "["
                }
            };
            self.text.push_str(begin);
            self.open.push((mark, self.text.len()));
        }
    }

    fn put_gap(&mut self, next: char) {
        let gap = std::mem::replace(&mut self.gap, Gap::Nothing);
        let Some(before) = self.text.chars().next_back() else { return };
        match gap {
            Gap::Nothing => {}
            Gap::Wrap if has_no_spaces(before) && has_no_spaces(next) => {}
            Gap::Space | Gap::Wrap => self.text.push(' '),
            Gap::Break if self.cell => self.text.push_str("<br>"),
            Gap::Break => self.text.push_str("  \n"),
        }
    }

    /// Closes the innermost mark. A mark that is `glued` to the next word counts only if no punctuation is before it.
    fn close(&mut self, glued: bool) {
        let Some((mark, begin)) = self.open.pop() else { return };
        let end = match mark {
            Mark::Link(at) => return self.close_link(at, begin),
            Mark::Strong => "**",
            Mark::Emphasis => "*",
            Mark::Strike => "~~",
        };
        let trimmed = self.text[begin..].trim_end_matches(is_closing);
        let at = begin + trimmed.len();
        if glued && !trimmed.is_empty() && !trimmed.ends_with('\\') {
            self.text.insert_str(at, end);
        } else {
            self.text.push_str(end);
        }
    }

    fn close_link(&mut self, at: usize, begin: usize) {
        let Some(address) = self.addresses[at].take() else { return };
        let text = &self.text[begin..];
        if text == address || text.strip_suffix('/') == Some(&address) || address.strip_suffix('/') == Some(text) {
            self.text.truncate(begin - 1);
            self.text.push('<');
            self.text.push_str(&address);
            self.text.push('>');
        } else {
            self.text.push_str("](");
            push_address(&mut self.text, &address);
            self.text.push(')');
        }
    }
}

/// Appends the address of a link or an image, so that it ends where it should.
pub(super) fn push_address(out: &mut String, address: &str) {
    let mut depth = 0_i32;
    let balanced = address.bytes().all(|b| {
        depth += i32::from(b == b'(') - i32::from(b == b')');
        depth >= 0
    }) && depth == 0;
    let begin = out.len();
    if !balanced {
        out.push('<');
    }
    for c in address.chars() {
        match c {
            '|' => out.push_str("%7C"),
            '\\' => out.push_str("%5C"),
            '`' => out.push_str("%60"),
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            c if c.is_whitespace() || c.is_control() => out.push_str("%20"),
            c => out.push(c),
        }
    }
    if !balanced {
        out.push('>');
    }
    debug_assert!(out.len() > begin || address.is_empty(), "an address is written");
}

/// Spaces that collapse; the one that does not break is one of them, for the sake of who reads the text.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}' | '\u{a0}')
}

/// Punctuation that may be moved out of a mark: none of it is Markdown.
fn is_closing(c: char) -> bool {
    matches!(
        c,
        '.' | ','
            | ':'
            | ';'
            | '!'
            | '?'
            | '"'
            | '…'
            | '。'
            | '，'
            | '：'
            | '；'
            | '！'
            | '？'
            | '、'
            | '”'
            | '」'
            | '』'
            | '）'
    )
}

/// Scripts whose lines are broken anywhere: Han, kana and their punctuation.
fn has_no_spaces(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{312f}' | '\u{31a0}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}' | '\u{20000}'..='\u{3ffff}')
}

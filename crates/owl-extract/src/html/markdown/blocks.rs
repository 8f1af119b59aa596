//! The text that is being written, block by block: what stands before each line, and what between two blocks.

/// So many lists and quotes inside of each other are shown; what is deeper looks like the last of them. It bounds what
/// stands before a line.
const DEEPEST: usize = 16;

/// What stands before the lines of a block.
#[derive(Debug)]
pub(super) enum Prefix {
    /// `> `
    Quote,
    /// Something with a mark before its first line, under which the others are indented.
    Item {
        /// The mark, until it is written.
        marker: Option<String>,
        /// How far the other lines are indented.
        indent: usize,
        /// Whether it follows the item before it without an empty line.
        tight: bool,
        /// Whether it is the first of its list.
        first: bool,
    },
}

#[derive(Debug, Default)]
pub(super) struct Blocks {
    out: String,
    prefixes: Vec<Prefix>,
    /// How many of the prefixes the last block had too.
    common: usize,
}

impl Blocks {
    /// How many prefixes there are, for [`Blocks::unwind`].
    pub(super) fn depth(&self) -> usize {
        self.prefixes.len()
    }

    pub(super) fn push(&mut self, prefix: Prefix) {
        if self.prefixes.len() < DEEPEST {
            self.prefixes.push(prefix);
        }
    }

    pub(super) fn unwind(&mut self, depth: usize) {
        self.prefixes.truncate(depth);
        self.common = self.common.min(depth);
    }

    /// Whether the next block is the first of an item.
    pub(super) fn begins_item(&self) -> bool {
        matches!(self.prefixes.last(), Some(Prefix::Item { marker: Some(_), .. }))
    }

    /// Adds to the mark of the item whose first block is next: the box of a task.
    pub(super) fn extend_marker(&mut self, text: &str) {
        if let Some(Prefix::Item { marker: Some(marker), .. }) = self.prefixes.last_mut() {
            marker.push_str(text);
        }
    }

    /// Writes a block of one or several lines.
    pub(super) fn block(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push('\n');
            if !self.is_tight() {
                self.blank();
            }
        }
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.out.push('\n');
            }
            self.begin_line(line.is_empty());
            self.out.push_str(line);
        }
        self.common = self.prefixes.len();
    }

    /// All that was written.
    pub(super) fn finish(self) -> String {
        self.out
    }

    /// Whether the next block follows the last without an empty line between them.
    fn is_tight(&self) -> bool {
        let mut around = false;
        for prefix in &self.prefixes {
            match prefix {
                Prefix::Quote => around = false,
                Prefix::Item { marker: None, tight, .. } => around = *tight,
                Prefix::Item { marker: Some(marker), tight, first, .. } => {
                    // Only a list that begins with one can follow a line of text.
                    return if *first { around && !may_not_interrupt(marker) } else { *tight };
                }
            }
        }
        false
    }

    fn blank(&mut self) {
        let begin = self.out.len();
        for prefix in &self.prefixes[..self.common] {
            push_prefix(&mut self.out, prefix);
        }
        self.out.truncate(begin + self.out[begin..].trim_end().len());
        self.out.push('\n');
    }

    fn begin_line(&mut self, empty: bool) {
        let begin = self.out.len();
        for prefix in &mut self.prefixes {
            match prefix {
                Prefix::Item { marker: marker @ Some(_), .. } => {
                    self.out.push_str(marker.take().as_deref().unwrap_or_default());
                }
                prefix => push_prefix(&mut self.out, prefix),
            }
        }
        if empty {
            self.out.truncate(begin + self.out[begin..].trim_end().len());
        }
    }
}

fn push_prefix(out: &mut String, prefix: &Prefix) {
    match prefix {
        Prefix::Quote => out.push_str("> "),
        Prefix::Item { indent, .. } => out.extend(std::iter::repeat_n(' ', *indent)),
    }
}

fn may_not_interrupt(marker: &str) -> bool {
    marker.starts_with(|c: char| c.is_ascii_digit()) && !marker.starts_with("1.")
}

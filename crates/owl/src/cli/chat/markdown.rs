//! A model's Markdown, as a terminal shows it: block by block, as soon as a block is complete.
//!
//! What is shown holds the address of every link, since a link's text may say anything. Control characters never get here: the screen takes
//! them out first.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

const BOLD: Style = Style::new().bold();
const ITALIC: Style = Style::new().italic();
const CODE: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));
const DIM: Style = Style::new().dimmed();

/// Collects a text until a block of it is complete.
#[derive(Debug, Default)]
pub(in crate::cli) struct Blocks {
    waiting: String,
    /// The fence of the code block that is open.
    fence: Option<String>,
    /// Up to where lines were looked at.
    seen: usize,
}

impl Blocks {
    /// Takes the next piece; returns what can be shown now.
    pub(super) fn push(&mut self, piece: &str) -> String {
        self.waiting.push_str(piece);
        let mut complete = 0;
        while let Some(length) = self.waiting[self.seen..].find('\n') {
            let line = &self.waiting[self.seen..self.seen + length];
            let trimmed = line.trim_start();
            let mark: String = trimmed.chars().take_while(|letter| matches!(letter, '`' | '~')).collect();
            self.seen += length + 1;
            match &self.fence {
                Some(fence) if trimmed.starts_with(fence.as_str()) && trimmed.trim_end() == mark => {
                    self.fence = None;
                    complete = self.seen;
                }
                Some(_) => {}
                None if mark.len() >= 3 => self.fence = Some(mark),
                // A list may go on behind an empty line; it is then shown as a list of its own, which reads the same.
                None if trimmed.is_empty() => complete = self.seen,
                None => {}
            }
        }
        let rest = self.waiting.split_off(complete);
        self.seen -= complete;
        render(&std::mem::replace(&mut self.waiting, rest))
    }

    /// What is left at the end.
    pub(super) fn finish(&mut self) -> String {
        (self.fence, self.seen) = (None, 0);
        render(&std::mem::take(&mut self.waiting))
    }
}

/// Shows a piece of Markdown; each block ends with an empty line.
pub(super) fn render(markdown: &str) -> String {
    if markdown.trim().is_empty() {
        return String::new();
    }
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut shown = Shown::default();
    for event in Parser::new_ext(markdown, options) {
        shown.event(event);
    }
    let mut text = shown.text;
    text.truncate(text.trim_end().len());
    text.push_str("\n\n");
    text
}

#[derive(Default)]
struct Shown {
    text: String,
    /// What stands in front of each line: quotes and the indentation of lists.
    prefix: Vec<&'static str>,
    /// The next number of each open list; `None` for one without numbers.
    lists: Vec<Option<u64>>,
    /// The addresses of the open links and pictures.
    links: Vec<String>,
    in_code: bool,
}

impl Shown {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_code => {
                for line in text.lines() {
                    self.line();
                    if !line.is_empty() {
                        let _ = write!(self.text, "  {CODE}{line}{CODE:#}");
                    }
                }
            }
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text.push_str(&text),
            Event::Code(text) => {
                let _ = write!(self.text, "{CODE}{text}{CODE:#}");
            }
            Event::SoftBreak | Event::HardBreak => self.line(),
            Event::Rule => {
                self.block();
                self.text.push_str("────────");
            }
            Event::TaskListMarker(done) => self.text.push_str(if done { "[x] " } else { "[ ] " }),
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.text.push_str(&text);
            }
        }
    }

    /// A new line, with what stands in front of it.
    fn line(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.extend(self.prefix.iter().copied());
    }

    /// A new line, with an empty one between it and the block before.
    fn block(&mut self) {
        if !self.text.is_empty() && self.lists.is_empty() {
            self.text.push('\n');
        }
        self.line();
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            // The first block of an item stands behind its mark.
            Tag::Paragraph if self.text.ends_with("• ") || self.text.ends_with(". ") && !self.lists.is_empty() => {}
            Tag::Paragraph => self.block(),
            Tag::Heading { .. } => {
                self.block();
                let _ = write!(self.text, "{BOLD}");
            }
            Tag::BlockQuote(_) => self.prefix.push("│ "),
            Tag::CodeBlock(kind) => {
                match kind {
                    CodeBlockKind::Fenced(language) if !language.is_empty() => {
                        self.block();
                        let _ = write!(self.text, "{DIM}{language}{DIM:#}");
                    }
                    CodeBlockKind::Fenced(_) | CodeBlockKind::Indented if self.text.is_empty() => {}
                    CodeBlockKind::Fenced(_) | CodeBlockKind::Indented => self.text.push('\n'),
                }
                self.in_code = true;
            }
            Tag::List(first) => {
                if self.lists.is_empty() {
                    self.text.push_str(if self.text.is_empty() { "" } else { "\n" });
                } else {
                    self.prefix.push("  ");
                }
                self.lists.push(first);
            }
            Tag::Item => {
                self.line();
                match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let _ = write!(self.text, "{number}. ");
                        *number += 1;
                    }
                    Some(None) | None => self.text.push_str("• "),
                }
            }
            Tag::Table(_) => self.text.push_str(if self.text.is_empty() { "" } else { "\n" }),
            Tag::TableHead | Tag::TableRow => self.line(),
            Tag::Emphasis => drop(write!(self.text, "{ITALIC}")),
            Tag::Strong => drop(write!(self.text, "{BOLD}")),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.links.push(dest_url.into_string()),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => drop(write!(self.text, "{BOLD:#}")),
            TagEnd::Emphasis => drop(write!(self.text, "{ITALIC:#}")),
            TagEnd::Strong => drop(write!(self.text, "{BOLD:#}")),
            TagEnd::BlockQuote(_) => drop(self.prefix.pop()),
            TagEnd::CodeBlock => self.in_code = false,
            TagEnd::List(_) => {
                self.lists.pop();
                if !self.lists.is_empty() {
                    self.prefix.pop();
                }
            }
            TagEnd::TableCell => self.text.push_str("  "),
            TagEnd::Link | TagEnd::Image => {
                let address = self.links.pop().unwrap_or_default();
                if !address.is_empty() && !self.text.ends_with(&address) {
                    let _ = write!(self.text, " {DIM}({address}){DIM:#}");
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn every_kind_of_block() {
        let text = "# Title\n\nA *b* **c** `d` [e](https://f.example/) <https://g.example/>\nnext\n\n- one\n- two\n  1. deep\n  2. er\n\n\
                    > said\n\n```rust\nfn main() {}\n\n# no title\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n---\nend";
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(plain(&render(text)));
        });
        assert!(render("**b**").contains("\u{1b}[1m"));
        assert_eq!(render(" \n\n"), "");
    }

    #[test]
    fn blocks_are_shown_when_they_are_complete() {
        let text = "one\n\n```\na\n\nb\n```\ntwo\n\nthree";
        let mut whole = Blocks::default();
        let mut shown = whole.push(text);
        shown.push_str(&whole.finish());
        for cut in 1..text.len() {
            let mut blocks = Blocks::default();
            let seen = blocks.push(&text[..cut]) + &blocks.push(&text[cut..]) + &blocks.finish();
            assert_eq!(plain(&seen), plain(&shown), "{cut}");
        }
        let mut blocks = Blocks::default();
        assert_eq!(blocks.push("one\n"), "");
        assert_eq!(plain(&blocks.push("\ntwo")), "one\n\n");
        assert_eq!(plain(&blocks.finish()), "two\n\n");
    }
}

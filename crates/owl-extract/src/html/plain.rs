//! Content as plain text: blocks on lines of their own, paragraphs an empty line apart.

use html5ever::{LocalName, local_name};

use super::content::Content;
use super::dom::{Dom, NodeId, Step};
use super::survey::is_inline;

/// What separates two pieces of text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    Nothing,
    Space,
    Tab,
    Line,
    Paragraph,
}

struct Writer {
    out: String,
    gap: Gap,
    /// How many `pre` the walk is in.
    preformatted: usize,
}

/// Writes what of a page is kept.
pub(crate) fn write(dom: &Dom, content: &Content) -> String {
    let mut writer = Writer { out: String::new(), gap: Gap::Nothing, preformatted: 0 };
    for &root in &content.roots {
        writer.gap = Gap::Paragraph;
        let mut step = Some(Step::Enter(root));
        while let Some(now) = step {
            let (Step::Enter(id) | Step::Leave(id)) = now;
            let dropped = content.is_dropped(id);
            match now {
                _ if dropped => {}
                Step::Enter(id) => writer.enter(dom, id),
                Step::Leave(id) => writer.leave(dom, id),
            }
            step = dom.step_after(now, root, !dropped);
        }
    }
    writer.out.truncate(writer.out.trim_end().len());
    writer.out
}

impl Writer {
    fn enter(&mut self, dom: &Dom, id: NodeId) {
        match (dom.text(id), dom.name(id)) {
            (Some(text), _) => self.text(text),
            (None, Some(name)) => {
                self.boundary(name);
                match *name {
                    local_name!("pre") => self.preformatted += 1,
                    local_name!("br") => self.gap = self.gap.max(Gap::Line),
                    local_name!("li") => {
                        self.piece("-");
                        self.gap = Gap::Space;
                    }
                    _ => {}
                }
            }
            (None, None) => {}
        }
    }

    fn leave(&mut self, dom: &Dom, id: NodeId) {
        if let Some(name) = dom.name(id) {
            if *name == local_name!("pre") {
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            self.boundary(name);
        }
    }

    fn boundary(&mut self, name: &LocalName) {
        let gap = match *name {
            local_name!("td") | local_name!("th") => Gap::Tab,
            local_name!("li") | local_name!("tr") | local_name!("dt") | local_name!("dd") | local_name!("option") => {
                Gap::Line
            }
            _ if is_inline(name) => return,
            _ => Gap::Paragraph,
        };
        // A bullet keeps the text it belongs to.
        if !(self.gap == Gap::Space && self.out.ends_with("\n-")) {
            self.gap = self.gap.max(gap);
        }
    }

    fn text(&mut self, text: &str) {
        if self.preformatted > 0 {
            if !text.is_empty() {
                self.piece(text);
            }
            return;
        }
        if text.starts_with(is_space) {
            self.gap = self.gap.max(Gap::Space);
        }
        for word in text.split(is_space).filter(|word| !word.is_empty()) {
            self.piece(word);
            self.gap = Gap::Space;
        }
        if !text.ends_with(is_space) && !text.is_empty() && self.gap == Gap::Space {
            self.gap = Gap::Nothing;
        }
    }

    fn piece(&mut self, piece: &str) {
        let gap = if self.out.is_empty() { Gap::Nothing } else { self.gap };
        self.out.push_str(match gap {
            Gap::Nothing => "",
            Gap::Space => " ",
            Gap::Tab => "\t",
            Gap::Line => "\n",
            Gap::Paragraph => "\n\n",
        });
        self.out.push_str(piece);
        self.gap = Gap::Nothing;
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}' | '\u{a0}' | '\u{200b}')
}

//! The content of a page as Markdown: CommonMark with the tables, tasks and footnotes of GitHub.
//!
//! One walk over the kept nodes, without recursion. Elements say in what the words of the page are set ([`line`]) and what
//! stands before their lines ([`blocks`]); a block is written when it ends. Text is escaped where it would be Markdown,
//! and nowhere else ([`escape`]). What a page repeats in its Markdown (its address before every relative link, values over
//! several rows) has a budget, so that the text grows no faster than the page.

use std::collections::HashSet;

use html5ever::{LocalName, local_name};

use super::content::Content;
use super::dom::{Dom, NodeId, Step};
use super::survey::is_inline;
use super::title::one_line;
use crate::document::Link;

mod address;
mod blocks;
mod code;
mod element;
mod escape;
mod line;
mod math;
mod note;
mod table;

use address::Addresses;
use blocks::{Blocks, Prefix};
use line::{Line, Mark};
use note::Notes;
use table::Table;

/// How much may be repeated, for every node of the page.
const REPEATED_BYTES: usize = 128;

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    /// The Markdown, without a line end at its end.
    pub(crate) text: String,
    /// The links in it, each address once, if they were asked for.
    pub(crate) links: Vec<Link>,
}

/// Writes what of a page is kept. `url` is where the page came from; a `<base>` in it counts.
pub(crate) fn write(dom: &Dom, content: &Content, url: &str, links: bool) -> Written {
    let mut writer = Writer::new(dom, content, url, links);
    for &root in &content.roots {
        writer.walk(root);
        writer.flush();
    }
    writer.notes_left();
    Written { text: writer.blocks.finish(), links: writer.links.unwrap_or_default() }
}

/// What an element is while the walk is in it.
#[derive(Debug)]
enum Role {
    /// Part of a line.
    Inline,
    /// Its text begins and ends a paragraph.
    Block,
    Heading,
    List(List),
    Table(Table),
    Row,
    Cell,
    /// Written by what came before its children, which are left out.
    Done,
}

#[derive(Debug)]
struct List {
    ordered: bool,
    next: i64,
    step: i64,
    tight: bool,
    first: bool,
}

/// An element that the walk is in, and what was set before it.
#[derive(Debug)]
struct Frame {
    id: NodeId,
    role: Role,
    marks: usize,
    depth: usize,
}

struct Writer<'a> {
    dom: &'a Dom,
    content: &'a Content,
    addresses: Addresses,
    notes: Notes,
    tables: HashSet<NodeId>,
    blocks: Blocks,
    line: Line,
    frames: Vec<Frame>,
    /// The level of the heading that the walk is in, which is one line.
    heading: Option<usize>,
    /// In a footnote.
    note: bool,
    /// By number: which notes are written.
    noted: Vec<bool>,
    links: Option<Vec<Link>>,
    linked: HashSet<String>,
}

impl<'a> Writer<'a> {
    fn new(dom: &'a Dom, content: &'a Content, url: &str, links: bool) -> Self {
        let notes = Notes::find(dom, content);
        Self {
            dom,
            content,
            addresses: Addresses::new(dom, url, dom.len() * REPEATED_BYTES),
            tables: table::find(dom, content),
            blocks: Blocks::default(),
            line: Line::new(),
            frames: Vec::new(),
            heading: None,
            note: false,
            noted: vec![false; notes.all().len()],
            notes,
            links: links.then(Vec::new),
            linked: HashSet::new(),
        }
    }

    fn walk(&mut self, root: NodeId) {
        let mut step = Some(Step::Enter(root));
        while let Some(now) = step {
            let enters = match now {
                Step::Enter(id) => self.enter(id, root),
                Step::Leave(id) => {
                    self.leave(id);
                    false
                }
            };
            step = self.dom.step_after(now, root, enters);
        }
    }

    /// Whether the walk goes on into the node.
    fn enter(&mut self, id: NodeId, root: NodeId) -> bool {
        if let Some(text) = self.dom.text(id) {
            if !self.content.is_dropped(id) {
                self.line.text(text);
            }
            return false;
        }
        if id != root && self.content.is_dropped(id) && !self.is_shown_after_all(id) {
            return false;
        }
        let (marks, depth) = (self.line.marks(), self.blocks.depth());
        let role = match self.dom.name(id) {
            Some(name) => self.element(id, name),
            None => Role::Block,
        };
        let goes_on = !matches!(role, Role::Done);
        self.frames.push(Frame { id, role, marks, depth });
        goes_on
    }

    fn leave(&mut self, id: NodeId) {
        let Some(frame) = self.frames.pop_if(|frame| frame.id == id) else { return };
        match frame.role {
            Role::Inline | Role::Done => self.leave_inline(id),
            Role::Block | Role::List(_) => self.boundary(),
            Role::Heading => self.end_heading(),
            Role::Table(table) => self.write_block(&table.finish()),
            Role::Row => {
                if let Some(table) = self.table() {
                    table.end_row();
                }
            }
            Role::Cell => {
                self.line.cell = false;
                let text = self.line.take();
                let dom = self.dom;
                if let Some(table) = self.table() {
                    table.cell(dom, id, text);
                }
            }
        }
        self.line.unmark(frame.marks);
        if self.blocks.depth() > frame.depth {
            self.blocks.unwind(frame.depth);
        }
        if self.notes.definition(id).is_some() {
            self.note = false;
        }
    }

    fn leave_inline(&mut self, id: NodeId) {
        let Some(name) = self.dom.name(id) else { return };
        match *name {
            local_name!("q") => self.line.raw("”"),
            local_name!("rt") => self.line.raw(")"),
            _ => {}
        }
    }

    /// The innermost table of data.
    fn table(&mut self) -> Option<&mut Table> {
        self.frames.iter_mut().rev().find_map(|frame| match &mut frame.role {
            Role::Table(table) => Some(table),
            _ => None,
        })
    }

    /// Whether everything has to stay on one line.
    fn is_one_line(&self) -> bool {
        self.heading.is_some() || self.line.cell
    }

    /// A block begins or ends here.
    fn boundary(&mut self) {
        if self.heading.is_some() {
            self.line.space();
        } else if self.line.cell {
            if !self.line.is_empty() {
                self.line.line_break();
            }
        } else {
            self.flush();
        }
    }

    /// The paragraph ends.
    fn flush(&mut self) {
        let text = self.line.take();
        if text.is_empty() {
            return;
        }
        let mut paragraph = String::with_capacity(text.len() + 8);
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                paragraph.push('\n');
            }
            escape::push_line(&mut paragraph, line);
        }
        self.blocks.block(&paragraph);
    }

    /// A heading ends, if it has not ended before.
    fn end_heading(&mut self) {
        let Some(level) = self.heading.take() else { return self.flush() };
        let text = self.line.take();
        if !text.is_empty() {
            let closes = if text.ends_with('#') { " #" } else { "" };
            self.blocks.block(&format!("{} {text}{closes}", "#".repeat(level)));
        }
    }

    /// A block that is finished: a table, code, a rule.
    fn write_block(&mut self, block: &str) {
        if !block.is_empty() {
            self.blocks.block(block);
        }
    }

    /// The notes that the content refers to and does not hold.
    fn notes_left(&mut self) {
        for at in 0..self.noted.len() {
            if !self.noted[at] {
                let note = self.notes.all()[at];
                self.walk(note);
                self.flush();
            }
        }
    }

    /// Remembers a link for [`Written::links`].
    fn note_link(&mut self, id: NodeId, address: &str) {
        let Some(links) = &mut self.links else { return };
        if self.linked.insert(address.to_owned()) {
            let content = self.content;
            let texts = self.dom.descendants(id).filter(|&node| !content.is_dropped(node));
            let text: String = texts.filter_map(|node| self.dom.text(node)).collect();
            links.push(Link { text: one_line(&text).unwrap_or_default(), url: address.to_owned() });
        }
    }
}

/// Whether an element begins and ends a paragraph.
fn is_block(dom: &Dom, id: NodeId, name: &LocalName) -> bool {
    // What HTML does not know is shown within the line, as browsers do.
    dom.is_html(id) && !is_inline(name) && !name.contains('-')
}

#[cfg(test)]
mod tests;

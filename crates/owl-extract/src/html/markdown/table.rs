//! Tables: which of them hold data, and how their rows are written.

use std::collections::HashSet;

use html5ever::local_name;

use crate::html::content::Content;
use crate::html::dom::{Dom, NodeId, Step};

/// A cell is never taken for wider than this, nor for taller.
const WIDEST: usize = 32;
const TALLEST: usize = 1000;
/// A value that belongs to several rows is repeated in each, if it is not longer than this.
const REPEATED_BYTES: usize = 100;
/// A cell with more text than this, in a table without headers, is part of a layout.
const LONGEST_CELL: usize = 500;

/// The tables that hold data: not those that only place things, which are written as plain flow. In one walk.
pub(super) fn find(dom: &Dom, content: &Content) -> HashSet<NodeId> {
    let mut found = HashSet::new();
    let mut open: Vec<(NodeId, Facts)> = Vec::new();
    let mut hidden = None;
    for step in dom.walk(dom.root()) {
        match step {
            Step::Enter(id) => {
                if hidden.is_none() && content.is_dropped(id) {
                    hidden = Some(id);
                }
                if hidden.is_some() {
                    continue;
                }
                if dom.is(id, &local_name!("table")) {
                    if let Some((_, around)) = open.last_mut() {
                        around.nests = true;
                    }
                    open.push((id, Facts::of(dom, id)));
                } else if let Some((_, facts)) = open.last_mut() {
                    facts.see(dom, id);
                }
            }
            Step::Leave(id) => {
                if hidden == Some(id) {
                    hidden = None;
                }
                if open.last().is_some_and(|(table, _)| *table == id)
                    && let Some((_, facts)) = open.pop()
                    && facts.is_data()
                {
                    found.insert(id);
                }
            }
        }
    }
    found
}

#[derive(Default)]
struct Facts {
    presentation: bool,
    /// It has header cells, or a caption.
    headed: bool,
    /// It has a table, or what is only found in a layout, in it.
    nests: bool,
    heavy: bool,
    code: bool,
    rows: usize,
    cells: usize,
    most_cells: usize,
    /// How much text is in this cell, and in the longest.
    cell: usize,
    longest: usize,
}

impl Facts {
    fn of(dom: &Dom, table: NodeId) -> Self {
        let presentation = dom.attr(table, "role").is_some_and(|role| matches!(role, "presentation" | "none"));
        Self { presentation, ..Self::default() }
    }

    fn see(&mut self, dom: &Dom, id: NodeId) {
        if let Some(text) = dom.text(id) {
            self.cell += text.len();
            self.longest = self.longest.max(self.cell);
            return;
        }
        let Some(name) = dom.name(id) else { return };
        match *name {
            local_name!("tr") => {
                self.rows += 1;
                self.cells = 0;
            }
            local_name!("td") | local_name!("th") => {
                self.headed |= *name == local_name!("th");
                self.cells += 1;
                self.most_cells = self.most_cells.max(self.cells);
                self.cell = 0;
            }
            local_name!("thead") | local_name!("caption") => self.headed = true,
            local_name!("pre") => self.code = true,
            local_name!("h1")
            | local_name!("h2")
            | local_name!("h3")
            | local_name!("h4")
            | local_name!("blockquote")
            | local_name!("article")
            | local_name!("section")
            | local_name!("form")
            | local_name!("hr") => {
                self.heavy = true;
            }
            _ => {}
        }
    }

    fn is_data(&self) -> bool {
        let plain = !self.nests && !self.heavy && self.longest <= LONGEST_CELL;
        !self.presentation && self.most_cells >= 2 && !self.code && (self.headed || (plain && self.rows >= 2))
    }
}

/// A table of data in the making.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    row: Row,
    /// By column: for how many more rows a value of the row above goes on.
    down: Vec<(usize, String)>,
    /// How much may be written that is repeated.
    budget: usize,
}

#[derive(Debug, Default)]
struct Row {
    cells: Vec<String>,
    /// Cells of its own, and how many of them are headers.
    own: usize,
    headers: usize,
}

impl Table {
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, ..Self::default() }
    }

    /// A row ends.
    pub(super) fn end_row(&mut self) {
        if self.row.own > 0 {
            self.fill_down();
            let row = std::mem::take(&mut self.row);
            if row.cells.iter().any(|cell| !cell.is_empty()) {
                self.rows.push(row);
            }
        }
        self.row = Row::default();
    }

    /// A cell ends.
    pub(super) fn cell(&mut self, dom: &Dom, id: NodeId, text: String) {
        self.fill_down();
        let number = |name| dom.attr(id, name).and_then(|value| value.trim().parse::<usize>().ok());
        let (wide, tall) = (number("colspan").unwrap_or(1), number("rowspan").unwrap_or(1));
        self.row.own += 1;
        self.row.headers += usize::from(dom.is(id, &local_name!("th")));
        let at = self.row.cells.len();
        if tall > 1 && at < WIDEST {
            let again = if text.len() <= REPEATED_BYTES { text.as_str() } else { "" };
            let end = at + wide.clamp(1, WIDEST);
            self.down.resize(self.down.len().max(end), (0, String::new()));
            for (column, value) in
                self.down[at..end].iter_mut().zip(std::iter::once(again).chain(std::iter::repeat("")))
            {
                *column = (tall.min(TALLEST) - 1, value.to_owned());
            }
        }
        self.row.cells.push(text);
        for _ in 1..wide.min(WIDEST) {
            self.row.cells.push(String::new());
        }
    }

    /// What goes on from the rows above, up to the next column that is free.
    fn fill_down(&mut self) {
        while let Some((left, value)) = self.down.get_mut(self.row.cells.len()).filter(|(left, _)| *left > 0) {
            *left -= 1;
            let fits = value.len() + 3 <= self.budget;
            self.budget = self.budget.saturating_sub(value.len() + 3);
            self.row.cells.push(if fits { value.clone() } else { String::new() });
        }
    }

    /// The table; empty when it holds nothing.
    pub(super) fn finish(mut self) -> String {
        self.end_row();
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let mut out = String::new();
        let mut rows = self.rows.iter();
        // A title over the whole table is no header of its columns.
        let headed = self.rows.first().is_some_and(|row| row.headers == row.own && (row.own > 1 || columns == 1));
        let none = Row::default();
        let header = if headed { rows.next().unwrap_or(&none) } else { &none };
        if columns == 0 {
            return out;
        }
        push_row(&mut out, &header.cells, columns);
        out.push('\n');
        out.push('|');
        for _ in 0..columns {
            out.push_str(" --- |");
        }
        for row in rows {
            out.push('\n');
            push_row(&mut out, &row.cells, 0);
        }
        out
    }
}

/// A row, of at least so many cells.
fn push_row(out: &mut String, cells: &[String], least: usize) {
    out.push('|');
    let missing = least.saturating_sub(cells.len());
    for cell in cells.iter().map(String::as_str).chain(std::iter::repeat_n("", missing)) {
        out.push(' ');
        out.push_str(cell);
        out.push_str(if cell.is_empty() { "|" } else { " |" });
    }
}

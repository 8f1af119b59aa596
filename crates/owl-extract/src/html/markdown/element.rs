//! What each element does to the text.

use html5ever::{LocalName, local_name};

use super::{Frame, List, Mark, Prefix, Role, Table, Writer, address, code, is_block, line, math};
use crate::html::content::Content;
use crate::html::dom::{Dom, NodeId};
use crate::html::hidden::is_concealed;
use crate::html::title::one_line;

/// Text of links that lead to the heading they stand in.
const PERMALINKS: [&str; 8] = ["", "¶", "#", "§", "🔗", "⚓", "link", "permalink"];
/// Text of links that lead from a footnote back to the text.
const BACK: [&str; 7] = ["↩", "↩︎", "⤴", "↑", "^", "⏎", "←"];
/// Images that are smaller than this, in either direction, are spacers, pixels that count readers, and icons.
const SMALLEST_IMAGE: u32 = 17;

impl Writer<'_> {
    /// Begins an element. [`Role::Done`] leaves out what is in it.
    pub(super) fn element(&mut self, id: NodeId, name: &LocalName) -> Role {
        if let Some(number) = self.notes.definition(id) {
            return self.note(number);
        }
        if self.heading.is_some() && !self.line.is_empty() && ends_heading(name) {
            self.end_heading();
        }
        match *name {
            local_name!("strong") | local_name!("b") => self.marked(Mark::Strong),
            local_name!("em") | local_name!("i") | local_name!("var") | local_name!("dfn") => {
                self.marked(Mark::Emphasis)
            }
            local_name!("del") | local_name!("s") | local_name!("strike") => self.marked(Mark::Strike),
            local_name!("a") => self.anchor(id),
            local_name!("br") => self.line_break(),
            local_name!("img") => self.image(id),
            local_name!("code") | local_name!("kbd") | local_name!("samp") | local_name!("tt") => self.code(id),
            local_name!("sup") | local_name!("sub") => self.raised(id, *name == local_name!("sup")),
            local_name!("q") => self.opened("“"),
            local_name!("rt") => self.opened("("),
            local_name!("rp") | local_name!("input") | local_name!("script") => self.odd(id, name),
            local_name!("math") => self.formula(id),
            local_name!("video") | local_name!("audio") | local_name!("iframe") | local_name!("embed") => {
                self.media(id, name)
            }
            local_name!("pre") | local_name!("listing") | local_name!("xmp") => self.preformatted(id),
            local_name!("table") if self.tables.contains(&id) && !self.is_one_line() => {
                self.flush();
                Role::Table(Table::new(self.dom.len()))
            }
            local_name!("tr") if self.is_in_table() => Role::Row,
            local_name!("td") | local_name!("th") if self.is_in_table() => {
                self.line.cell = true;
                Role::Cell
            }
            local_name!("td") | local_name!("th") if code::is_gutter(self.dom, id) => Role::Done,
            local_name!("td") | local_name!("th") => {
                self.line.space();
                Role::Inline
            }
            _ if is_block(self.dom, id, name) => self.block(id, name),
            _ if is_chrome(self.dom, id) => Role::Done,
            _ => Role::Inline,
        }
    }

    fn block(&mut self, id: NodeId, name: &LocalName) -> Role {
        self.boundary();
        if is_chrome(self.dom, id) || code::is_gutter(self.dom, id) {
            return Role::Done;
        }
        if self.is_one_line() {
            if *name == local_name!("li") && self.line.cell {
                self.line.raw("-");
                self.line.space();
            }
            return Role::Block;
        }
        match *name {
            local_name!("h1") => self.heading(1),
            local_name!("h2") => self.heading(2),
            local_name!("h3") => self.heading(3),
            local_name!("h4") => self.heading(4),
            local_name!("h5") => self.heading(5),
            local_name!("h6") => self.heading(6),
            local_name!("ul") | local_name!("ol") | local_name!("menu") | local_name!("dir") => self.list(id, name),
            local_name!("li") => self.item(id),
            local_name!("dd") => {
                self.blocks.push(Prefix::Item { marker: Some(": ".into()), indent: 2, tight: true, first: false });
                Role::Block
            }
            local_name!("dt") | local_name!("summary") => self.marked_block(Mark::Strong),
            local_name!("figcaption") => self.marked_block(Mark::Emphasis),
            local_name!("blockquote") => {
                self.blocks.push(Prefix::Quote);
                Role::Block
            }
            local_name!("hr") => {
                self.write_block("---");
                Role::Done
            }
            local_name!("select") | local_name!("option") | local_name!("textarea") | local_name!("datalist") => {
                Role::Done
            }
            _ if is_title(self.dom, id) => self.marked_block(Mark::Strong),
            _ => Role::Block,
        }
    }

    /// What was dropped as no part of the running text, and yet says something: boxes of tasks, players, formulas.
    pub(super) fn is_shown_after_all(&self, id: NodeId) -> bool {
        let Some(name) = self.dom.name(id) else { return false };
        match *name {
            local_name!("input") => is_task(self.dom, id) && self.blocks.begins_item() && self.line.is_empty(),
            local_name!("iframe") => !is_concealed(self.dom, id),
            local_name!("script") => math::of_script(self.dom, id).is_some(),
            _ => false,
        }
    }

    fn is_in_table(&self) -> bool {
        // A table in a cell is written as lines of the cell.
        let inner = self.frames.iter().rev().take_while(|frame| !matches!(frame.role, Role::Cell));
        inner.into_iter().find(|frame| self.dom.is(frame.id, &local_name!("table"))).is_some_and(is_data)
            && !self.line.cell
    }

    fn marked(&mut self, mark: Mark) -> Role {
        // Headings are strong as they are.
        if !(self.heading.is_some() && mark == Mark::Strong) {
            self.line.mark(mark);
        }
        Role::Inline
    }

    fn marked_block(&mut self, mark: Mark) -> Role {
        self.line.mark(mark);
        Role::Block
    }

    fn opened(&mut self, text: &str) -> Role {
        self.line.raw(text);
        Role::Inline
    }

    fn heading(&mut self, level: usize) -> Role {
        self.heading = Some(level);
        Role::Heading
    }

    fn note(&mut self, number: usize) -> Role {
        self.boundary();
        if !self.is_one_line() && !self.noted[number - 1] {
            self.noted[number - 1] = true;
            self.note = true;
            self.blocks.push(Prefix::Item {
                marker: Some(format!("[^{number}]: ")),
                indent: 4,
                tight: true,
                first: number == 1,
            });
        }
        Role::Block
    }

    fn list(&self, id: NodeId, name: &LocalName) -> Role {
        let ordered = *name == local_name!("ol");
        let step = if self.dom.attr(id, "reversed").is_some() { -1 } else { 1 };
        let start = self.dom.attr(id, "start").and_then(|start| start.trim().parse().ok());
        let start = start.or_else(|| (step < 0).then(|| count_items(self.dom, self.content, id)));
        Role::List(List { ordered, next: start.unwrap_or(1), step, tight: is_tight(self.dom, id), first: true })
    }

    fn item(&mut self, id: NodeId) -> Role {
        let value = self.dom.attr(id, "value").and_then(|value| value.trim().parse::<i64>().ok());
        let list = self.frames.iter_mut().rev().find_map(|frame| match &mut frame.role {
            Role::List(list) => Some(list),
            _ => None,
        });
        let (marker, tight, first) = match list {
            Some(list) => {
                let number = value.unwrap_or(list.next);
                list.next = number.saturating_add(list.step);
                let first = std::mem::replace(&mut list.first, false);
                let shown = number.clamp(0, 999_999_999);
                (if list.ordered { format!("{shown}. ") } else { "- ".to_owned() }, list.tight, first)
            }
            None => ("- ".to_owned(), true, false),
        };
        self.blocks.push(Prefix::Item { indent: marker.len(), marker: Some(marker), tight, first });
        Role::Block
    }

    fn line_break(&mut self) -> Role {
        if self.heading.is_some() {
            self.line.space();
        } else if !self.line.is_empty() && !self.line.line_break() && !self.line.cell {
            self.flush();
        }
        Role::Done
    }

    fn anchor(&mut self, id: NodeId) -> Role {
        if let Some(number) = self.notes.reference(id) {
            self.line.raw(&format!("[^{number}]"));
            return Role::Done;
        }
        let Some(href) = self.dom.attr(id, "href") else { return Role::Inline };
        let inside = href.trim_start().starts_with('#');
        if inside && (self.is_permalink(id) || is_skip_link(self.dom, id)) {
            return Role::Done;
        }
        if inside && self.heading.is_some() {
            return Role::Inline;
        }
        if let Some(address) = self.addresses.link(href) {
            self.note_link(id, &address);
            self.line.link(address);
        }
        Role::Inline
    }

    /// Whether a link only leads to where it stands, or from a note back.
    fn is_permalink(&self, id: NodeId) -> bool {
        let text: String = self.dom.descendants(id).take(8).filter_map(|id| self.dom.text(id)).take(4).collect();
        let text = text.trim();
        let class = self.dom.attr(id, "class").unwrap_or_default();
        let role = self.dom.attr(id, "role").unwrap_or_default();
        let sign = PERMALINKS.contains(&text.to_lowercase().as_str())
            && self.dom.descendants(id).all(|node| !self.dom.is(node, &local_name!("img")));
        let back = BACK.contains(&text)
            || role == "doc-backlink"
            || ["backref", "footnote-back", "reversefootnote", "footnote-return"]
                .iter()
                .any(|name| class.contains(name));
        let short = self.note && text.chars().count() <= 4;
        sign || back
            || short
            || ["headerlink", "anchorjs-link", "header-anchor"].iter().any(|name| class.contains(name))
    }

    fn image(&mut self, id: NodeId) -> Role {
        let alt = self.dom.attr(id, "alt").and_then(one_line).unwrap_or_default();
        if let Some(tex) = math::of_image(self.dom, id) {
            self.line.raw(&tex);
            return Role::Done;
        }
        let class = self.dom.attr(id, "class").unwrap_or_default();
        if class.contains("emoji") || class.contains("smil") {
            self.line.text(&alt);
            return Role::Done;
        }
        let small = |name| {
            let size = self.dom.attr(id, name).and_then(|size| size.trim_end_matches("px").trim().parse::<u32>().ok());
            size.is_some_and(|size| size < SMALLEST_IMAGE)
        };
        if small("width") || small("height") {
            return Role::Done;
        }
        if let Some(source) = address::image(self.dom, id, &mut self.addresses) {
            let mut image = String::from("![");
            image.push_str(&escaped_alt(&alt));
            image.push_str("](");
            line::push_address(&mut image, &source);
            image.push(')');
            self.line.image(&image);
        }
        Role::Done
    }

    fn code(&mut self, id: NodeId) -> Role {
        let text = code::block(self.dom, self.content, id);
        // Code that is one link stays one.
        let mut children = self.dom.children(id);
        let marks = self.line.marks();
        if let (Some(only), None) = (children.next(), children.next())
            && self.dom.is(only, &local_name!("a"))
            && let Some(address) = self.dom.attr(only, "href").and_then(|href| self.addresses.link(href))
        {
            self.note_link(only, &address);
            self.line.link(address);
        }
        self.line.raw(&code::span(&text, self.line.cell));
        self.line.unmark(marks);
        Role::Done
    }

    fn preformatted(&mut self, id: NodeId) -> Role {
        self.boundary();
        let text = code::block(self.dom, self.content, id);
        if self.is_one_line() {
            self.line.raw(&code::span(&text, self.line.cell));
        } else if !text.is_empty() {
            let language = code::language(self.dom, id);
            self.write_block(&code::fenced(&text, &language));
        }
        self.line.space();
        Role::Done
    }

    fn raised(&mut self, id: NodeId, up: bool) -> Role {
        let mut links = self.dom.descendants(id).take(8).filter_map(|node| self.notes.reference(node));
        if let (Some(number), None) = (links.next(), links.next()) {
            self.line.raw(&format!("[^{number}]"));
            return Role::Done;
        }
        let mut children = self.dom.children(id);
        let text = match (children.next(), children.next()) {
            (Some(only), None) => self.dom.text(only).map(str::trim),
            _ => None,
        };
        match text.filter(|text| text.len() <= 16).and_then(|text| shifted(text, up)) {
            Some(text) => {
                self.line.text(&text);
                Role::Done
            }
            None => Role::Inline,
        }
    }

    fn formula(&mut self, id: NodeId) -> Role {
        match math::of_element(self.dom, id) {
            Some(tex) => self.line.raw(&tex),
            None => {
                let text = self.dom.text_content(id);
                self.line.text(&text);
            }
        }
        Role::Done
    }

    fn odd(&mut self, id: NodeId, name: &LocalName) -> Role {
        if *name == local_name!("input") && is_task(self.dom, id) && self.line.is_empty() {
            let done = self.dom.attr(id, "checked").is_some();
            self.blocks.extend_marker(if done { "[x] " } else { "[ ] " });
        } else if let Some(tex) = math::of_script(self.dom, id) {
            self.line.raw(&tex);
        }
        Role::Done
    }

    fn media(&mut self, id: NodeId, name: &LocalName) -> Role {
        let source = || self.dom.children(id).take(8).find_map(|child| self.dom.attr(child, "src"));
        let address = self.dom.attr(id, "src").or_else(source).and_then(|src| self.addresses.source(src));
        let tiny = ["width", "height"].iter().any(|name| matches!(self.dom.attr(id, name), Some("0" | "1")));
        if let Some(address) = address.filter(|_| !tiny).map(address::watched) {
            let kind = match *name {
                local_name!("audio") => "Audio",
                local_name!("video") => "Video",
                _ if address.contains("youtube.com/") || address.contains("vimeo.com/") => "Video",
                _ => "Embedded page",
            };
            let title = self.dom.attr(id, "title").or_else(|| self.dom.attr(id, "aria-label")).and_then(one_line);
            let text = title.map_or(kind.to_owned(), |title| format!("{kind}: {title}"));
            self.boundary();
            let marks = self.line.marks();
            self.line.link(address);
            self.line.text(&text);
            self.line.unmark(marks);
            self.boundary();
        }
        Role::Done
    }
}

fn is_data(frame: &Frame) -> bool {
    matches!(frame.role, Role::Table(_))
}

/// Blocks that no heading has in it: one that was never closed has.
fn ends_heading(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("p")
            | local_name!("ul")
            | local_name!("ol")
            | local_name!("dl")
            | local_name!("table")
            | local_name!("pre")
            | local_name!("blockquote")
            | local_name!("hr")
            | local_name!("figure")
    )
}

fn is_task(dom: &Dom, id: NodeId) -> bool {
    dom.attr(id, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("checkbox"))
}

/// What is shown as the title of a box, though it is no heading.
fn is_title(dom: &Dom, id: NodeId) -> bool {
    dom.attr(id, "class").is_some_and(|class| class.split_ascii_whitespace().any(|c| c == "admonition-title"))
}

/// Links beside a page's text that are for programs and editors.
fn is_chrome(dom: &Dom, id: NodeId) -> bool {
    dom.attr(id, "class").is_some_and(|class| {
        class
            .split_ascii_whitespace()
            .any(|c| matches!(c, "mw-editsection" | "mw-cite-backlink" | "skip-link" | "skip-nav"))
    })
}

fn is_skip_link(dom: &Dom, id: NodeId) -> bool {
    let text: String = dom.descendants(id).take(4).filter_map(|id| dom.text(id)).collect();
    let text = text.trim().to_lowercase();
    ["skip to ", "jump to content", "jump to navigation", "jump to search"].iter().any(|begin| text.starts_with(begin))
}

/// Whether no item of a list has several paragraphs.
fn is_tight(dom: &Dom, list: NodeId) -> bool {
    let is_paragraph = |&id: &NodeId| {
        dom.name(id).is_some_and(|name| {
            matches!(
                *name,
                local_name!("p")
                    | local_name!("pre")
                    | local_name!("blockquote")
                    | local_name!("table")
                    | local_name!("figure")
            )
        })
    };
    dom.children(list).all(|item| dom.children(item).filter(is_paragraph).nth(1).is_none())
}

fn count_items(dom: &Dom, content: &Content, list: NodeId) -> i64 {
    let items = dom.children(list).filter(|&item| dom.is(item, &local_name!("li")) && !content.is_dropped(item));
    i64::try_from(items.count()).unwrap_or(1)
}

fn escaped_alt(alt: &str) -> String {
    let mut out = String::with_capacity(alt.len());
    for c in alt.chars().take(1000) {
        if matches!(c, '[' | ']' | '\\' | '`' | '|' | '<') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Raised or lowered characters; those that Unicode does not have are marked with `^` or `_`, as in TeX.
fn shifted(text: &str, up: bool) -> Option<String> {
    if text.is_empty() || matches!(text, "st" | "nd" | "rd" | "th" | "er" | "e" | "o" | "a" | "TM" | "®" | "™") {
        return None;
    }
    let from = "0123456789+-=()n";
    let to = if up {
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ"
    } else {
        "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙ"
    };
    let one = |c: char| from.chars().zip(to.chars()).find(|(plain, _)| *plain == c).map(|(_, shifted)| shifted);
    let whole: Option<String> = text.replace('−', "-").chars().map(one).collect();
    if whole.is_some() {
        return whole;
    }
    let sign = if up { '^' } else { '_' };
    let simple = text.chars().all(char::is_alphanumeric);
    simple.then(|| format!("{sign}{text}"))
}

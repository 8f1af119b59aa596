//! What is known about each part of a page before its content is looked for: how much text, how much of it links, whether
//! it reads like sentences, what it is called. One walk over the page and one back.

use html5ever::{LocalName, local_name};

use super::dom::{Dom, NodeId, Step};
use super::hidden::is_hidden;
use super::words::{Hints, hints};

/// What is known about one node. Lengths are in letters: spaces do not count, a letter of a script that writes words in
/// one or two letters (Han, Kana, Hangul) counts twice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// The visible text in it.
    pub(super) text: u32,
    /// As much of it is in links.
    pub(super) linked: u32,
    /// Of `text`, what stands in no block further in.
    pub(super) own: u32,
    /// As much of `own` is in links.
    pub(super) own_linked: u32,
    /// How often `own` ends or divides a sentence.
    pub(super) own_stops: u32,
    /// Whether `own` breaks off: the beginning of a text that is elsewhere.
    pub(super) own_breaks_off: bool,
    /// The links in it.
    pub(super) links: u32,
    /// How much of `own` reads like prose.
    pub(super) own_worth: f32,
    /// How much of the text in it reads like prose.
    pub(super) worth: f32,
    /// What it is called.
    pub(super) hints: Hints,
    /// It is out of sight.
    pub(super) hidden: bool,
    /// It begins and ends a line.
    pub(super) block: bool,
}

/// What is known about a page.
pub(super) struct Survey {
    /// By [`NodeId::index`].
    pub(super) facts: Vec<Facts>,
    /// What is visible, in the order of the page: parents before children.
    pub(super) order: Vec<NodeId>,
}

impl Survey {
    /// Surveys everything below (and with) `root`.
    pub(super) fn of(dom: &Dom, root: NodeId) -> Self {
        let mut survey = Self { facts: vec![Facts::default(); dom.len()], order: Vec::with_capacity(dom.len()) };
        survey.walk_in(dom, root);
        survey.sum_up(dom, root);
        survey
    }

    pub(super) fn at(&self, id: NodeId) -> &Facts {
        &self.facts[id.index()]
    }

    fn walk_in(&mut self, dom: &Dom, root: NodeId) {
        // The blocks and the links that the walk is in.
        let (mut blocks, mut links) = (vec![root], 0_u32);
        let mut step = Some(Step::Enter(root));
        while let Some(now) = step {
            let enters = match now {
                Step::Enter(id) => self.enter(dom, id, &mut blocks, &mut links),
                Step::Leave(id) => {
                    let facts = self.at(id);
                    if facts.block && blocks.len() > 1 {
                        blocks.pop();
                    }
                    if dom.is(id, &local_name!("a")) && !facts.hidden {
                        links -= 1;
                    }
                    false
                }
            };
            step = dom.step_after(now, root, enters);
        }
    }

    /// Whether what is in it is worth a look.
    fn enter(&mut self, dom: &Dom, id: NodeId, blocks: &mut Vec<NodeId>, links: &mut u32) -> bool {
        if let Some(text) = dom.text(id) {
            self.order.push(id);
            self.count(text, id, blocks.last().copied(), *links > 0);
            return false;
        }
        let Some(name) = dom.name(id) else { return true };
        let facts = &mut self.facts[id.index()];
        if is_hidden(dom, id) {
            facts.hidden = true;
            return false;
        }
        self.order.push(id);
        facts.hints = hints(dom, id);
        if facts.hints.unseen {
            facts.hidden = true;
            return false;
        }
        facts.block = !is_inline(name);
        if facts.block {
            blocks.push(id);
        }
        if *name == local_name!("a") {
            *links += 1;
            facts.links = 1;
        }
        true
    }

    fn count(&mut self, text: &str, id: NodeId, block: Option<NodeId>, linked: bool) {
        let (length, stops) = measure(text);
        let facts = &mut self.facts[id.index()];
        facts.text = length;
        facts.linked = if linked { length } else { 0 };
        if let Some(block) = block {
            let facts = &mut self.facts[block.index()];
            facts.own += length;
            facts.own_stops += stops;
            facts.own_linked += if linked { length } else { 0 };
            if length > 0 && !linked {
                facts.own_breaks_off = breaks_off(text);
            }
        }
    }

    fn sum_up(&mut self, dom: &Dom, root: NodeId) {
        for &id in self.order.iter().rev() {
            let mut facts = self.facts[id.index()];
            if facts.block {
                facts.own_worth = worth(&facts, dom.name(id));
                facts.worth += facts.own_worth;
                self.facts[id.index()] = facts;
            }
            if id == root {
                continue;
            }
            if let Some(parent) = dom.parent(id) {
                let above = &mut self.facts[parent.index()];
                above.text += facts.text;
                above.linked += facts.linked;
                above.links += facts.links;
                above.worth += facts.worth;
            }
        }
    }
}

/// How many letters a text has, and how many signs that end or divide sentences.
fn measure(text: &str) -> (u32, u32) {
    let (mut length, mut stops) = (0, 0);
    for c in text.chars() {
        length += match c {
            '\0'..=' ' | '\u{a0}' | '\u{200b}'..='\u{200f}' => 0,
            '.' | ',' | '!' | '?' | ';' => {
                stops += 1;
                1
            }
            '\u{3001}' | '\u{3002}' | '\u{ff01}' | '\u{ff0c}' | '\u{ff1f}' | '\u{60c}' | '\u{61b}' | '\u{61f}'
            | '\u{964}' | '\u{6d4}' => {
                stops += 1;
                2
            }
            '\u{2e80}'.. => 2,
            _ => 1,
        };
    }
    (length, stops)
}

/// Whether a text ends in an ellipsis.
fn breaks_off(text: &str) -> bool {
    let text = text.trim_end().trim_end_matches([']', ')', '"', '”']);
    text.ends_with('…') || text.ends_with("...")
}

/// How much of a block's own text reads like prose.
fn worth(facts: &Facts, name: Option<&LocalName>) -> f32 {
    let plain = facts.own.saturating_sub(facts.own_linked) as f32;
    if facts.own_linked * 2 > facts.own || facts.own < 10 {
        return 0.0;
    }
    if name.is_some_and(|name| matches!(*name, local_name!("pre") | local_name!("code"))) {
        return plain;
    }
    if facts.own_breaks_off {
        return 0.2 * plain;
    }
    match (plain as u32, facts.own_stops) {
        (0..=24, _) => 0.05 * plain,
        (25..=79, 0) => 0.2 * plain,
        (25..=79, _) => 0.7 * plain,
        (_, 0) => 0.4 * plain,
        (_, _) => plain,
    }
}

/// Whether an element stands within a line.
pub(super) fn is_inline(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("a")
            | local_name!("abbr")
            | local_name!("acronym")
            | local_name!("b")
            | local_name!("bdi")
            | local_name!("bdo")
            | local_name!("big")
            | local_name!("br")
            | local_name!("cite")
            | local_name!("code")
            | local_name!("data")
            | local_name!("del")
            | local_name!("dfn")
            | local_name!("em")
            | local_name!("font")
            | local_name!("i")
            | local_name!("img")
            | local_name!("input")
            | local_name!("ins")
            | local_name!("kbd")
            | local_name!("label")
            | local_name!("mark")
            | local_name!("meter")
            | local_name!("nobr")
            | local_name!("picture")
            | local_name!("progress")
            | local_name!("q")
            | local_name!("rp")
            | local_name!("rt")
            | local_name!("ruby")
            | local_name!("s")
            | local_name!("samp")
            | local_name!("small")
            | local_name!("source")
            | local_name!("span")
            | local_name!("strike")
            | local_name!("strong")
            | local_name!("sub")
            | local_name!("sup")
            | local_name!("time")
            | local_name!("tt")
            | local_name!("u")
            | local_name!("var")
            | local_name!("wbr")
    )
}

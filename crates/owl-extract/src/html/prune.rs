//! What of the chosen part is left out.

use std::collections::HashSet;

use html5ever::{LocalName, local_name};

use super::content::{is_boilerplate, is_called_boilerplate};
use super::dom::{Dom, NodeId};
use super::phrases;
use super::survey::{Facts, Survey};

/// A part with this share of the content's prose is left out for nothing.
const TOO_LARGE_TO_DROP: f32 = 0.3;

/// Parts beside the text are shorter than this, in letters.
const LONGEST_BESIDE: u32 = 200;

/// Shorter blocks may stand in a text twice, in letters.
const LEAST_REPEATED: u32 = 150;

/// Labels, bylines and invitations are shorter than this, in letters.
const LONGEST_LABEL: u32 = 160;

/// How a part is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// One text.
    Text,
    /// One text, whose names are not to be believed.
    Unnamed,
    /// A whole page of many parts.
    Page,
}

/// What is left out on demand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leave<'a> {
    /// The title, where it is repeated.
    pub(super) title: Option<&'a str>,
    /// Captions stay.
    pub(super) captions: bool,
}

/// What does not belong to the text below `root`, by [`NodeId::index`].
pub(super) fn prune(dom: &Dom, survey: &Survey, root: NodeId, manner: Manner, leave: Leave<'_>) -> Vec<bool> {
    let headlines: Vec<NodeId> =
        survey.order.iter().copied().filter(|&id| dom.is(id, &local_name!("h1"))).take(2).collect();
    let mut pruning = Pruning {
        dom,
        survey,
        manner,
        captions: leave.captions,
        total: survey.at(root).worth,
        title: leave.title.map(letters),
        headline: headlines.first().copied().filter(|_| headlines.len() == 1 && leave.title.is_some()),
        begun: false,
        seen: HashSet::new(),
    };
    let mut dropped: Vec<bool> = survey.facts.iter().map(|facts| facts.hidden).collect();
    let mut next = dom.first_child(root);
    while let Some(id) = next {
        if dropped[id.index()] || pruning.drops(id) || pruning.is_repeated(id) {
            dropped[id.index()] = true;
            next = dom.skip(id, root);
        } else {
            if manner != Manner::Page {
                pruning.drop_related(&mut dropped, id, root);
            }
            next = dom.first_child(id).or_else(|| dom.skip(id, root));
        }
    }
    if manner != Manner::Page {
        pruning.drop_headings_of_nothing(&mut dropped, root);
    }
    dropped
}

struct Pruning<'a> {
    dom: &'a Dom,
    survey: &'a Survey,
    manner: Manner,
    captions: bool,
    /// The prose of the content.
    total: f32,
    title: Option<String>,
    /// The only heading of the first level on the page.
    headline: Option<NodeId>,
    /// Whether the walk has come to the text.
    begun: bool,
    /// Long blocks that were kept.
    seen: HashSet<String>,
}

impl Pruning<'_> {
    fn drops(&mut self, id: NodeId) -> bool {
        let Some(name) = self.dom.name(id) else { return false };
        let facts = self.survey.at(id);
        self.begun |= facts.own_worth > 60.0 && facts.own_stops > 0 && !facts.hints.beside && !facts.hints.media;
        if facts.worth > self.total * TOO_LARGE_TO_DROP {
            return false;
        }
        match *name {
            local_name!("button") | local_name!("select") | local_name!("input") | local_name!("textarea") => true,
            local_name!("video") | local_name!("audio") | local_name!("canvas") => true,
            local_name!("figcaption") => !self.captions,
            _ if is_boilerplate(name) => true,
            _ if is_heading(name) && self.is_title(id) => true,
            local_name!("blockquote") | local_name!("pre") => false,
            local_name!("header") if self.manner == Manner::Page => facts.linked * 2 > facts.text,
            _ if self.manner == Manner::Page => facts.block && is_called_boilerplate(facts, self.total),
            _ => {
                self.is_called(id, facts)
                    || (facts.block && (self.is_links(id, name, facts) || self.is_label(id, name, facts)))
            }
        }
    }

    fn is_called(&self, id: NodeId, facts: &Facts) -> bool {
        if self.manner == Manner::Unnamed {
            return facts.hints.boilerplate && facts.linked * 2 > facts.text;
        }
        let beside = facts.hints.beside && facts.text < LONGEST_BESIDE;
        is_called_boilerplate(facts, self.total) && (facts.block || facts.hints.boilerplate)
            || (facts.hints.comments && facts.block)
            || (facts.hints.media && !self.captions)
            || (beside && (facts.block || !self.is_in_sentence(id)))
    }

    /// A long block that was shown before: pages hold some parts twice, for screens of two sizes.
    fn is_repeated(&mut self, id: NodeId) -> bool {
        let facts = self.survey.at(id);
        let long = facts.block && facts.own == facts.text && facts.text > LEAST_REPEATED && self.manner != Manner::Page;
        long && !self.seen.insert(self.dom.text_content(id))
    }

    /// Whether it stands within a line of prose.
    fn is_in_sentence(&self, id: NodeId) -> bool {
        let block = self.dom.ancestors(id).map(|outer| self.survey.at(outer)).find(|outer| outer.block);
        block.is_some_and(|block| block.own_worth > 60.0)
    }

    /// A short block that says nothing, or who wrote this and when.
    fn is_label(&self, id: NodeId, name: &LocalName, facts: &Facts) -> bool {
        let part_of_more = matches!(
            *name,
            local_name!("li") | local_name!("td") | local_name!("th") | local_name!("dt") | local_name!("dd")
        );
        if facts.text == 0 || facts.own != facts.text || facts.text > LONGEST_LABEL || part_of_more || is_heading(name)
        {
            return false;
        }
        let text = self.dom.text_content(id);
        phrases::is_nothing(&text)
            || phrases::is_notice(&text)
            || (facts.links > 0 && (phrases::is_invitation(&text) || phrases::is_related(&text)))
            || (!self.begun && phrases::is_byline(&text))
    }

    /// A heading over other pages takes with it what it stands over.
    fn drop_related(&self, dropped: &mut [bool], id: NodeId, root: NodeId) {
        let facts = self.survey.at(id);
        let Some(name) = self.dom.name(id) else { return };
        let may = facts.block && facts.text > 0 && facts.own == facts.text && facts.text < LONGEST_LABEL;
        if !may
            || matches!(*name, local_name!("li") | local_name!("td") | local_name!("pre"))
            || !phrases::is_related(&self.dom.text_content(id))
        {
            return;
        }
        // What holds nothing but the heading stands for it.
        let mut heading = id;
        while let Some(parent) =
            self.dom.parent(heading).filter(|&parent| parent != root && self.survey.at(parent).text == facts.text)
        {
            heading = parent;
        }
        let mut following = self.dom.next(heading);
        let mut any = false;
        while let Some(next) = following {
            let over = self.survey.at(next);
            let is_prose = over.linked * 4 < over.text && (over.worth > 100.0 || !self.is_list(next));
            let is_heading = self.dom.name(next).is_some_and(is_heading);
            if over.text > 0 && (is_prose || is_heading) {
                break;
            }
            dropped[next.index()] = true;
            any |= over.text > 0;
            following = self.dom.next(next);
        }
        if any || is_heading(name) && facts.links == 0 && self.dom.next(heading).is_none() {
            dropped[heading.index()] = true;
        }
    }

    fn is_list(&self, id: NodeId) -> bool {
        self.dom.name(id).is_some_and(|name| matches!(*name, local_name!("ul") | local_name!("ol")))
    }

    fn is_links(&self, id: NodeId, name: &LocalName, facts: &Facts) -> bool {
        let dense = facts.linked * 2 > facts.text && facts.text > 0;
        if !dense || facts.worth > self.total * 0.1 {
            return false;
        }
        // An entry of a list is judged with its list, a sentence is one though most of it is a link.
        let entry = matches!(*name, local_name!("li") | local_name!("td") | local_name!("tr") | local_name!("dd"));
        let sentence = facts.own_stops > 0 && facts.text - facts.linked > 20;
        !(sentence || entry && self.dom.parent(id).is_some_and(|list| !self.survey.at(list).hidden))
    }

    /// The title of the page, which is told apart from its content.
    fn is_title(&self, id: NodeId) -> bool {
        if self.headline == Some(id) && !self.begun {
            return true;
        }
        let Some(title) = &self.title else { return false };
        let heading = letters(&self.dom.text_content(id));
        let similar = heading.len() > 8 && (title.contains(&heading) || heading.contains(title.as_str()));
        similar && (!self.begun || heading.len() * 10 > title.len() * 8)
    }

    /// Headings under which nothing was kept.
    fn drop_headings_of_nothing(&self, dropped: &mut [bool], root: NodeId) {
        let mut pending: Vec<(NodeId, u8)> = Vec::new();
        let mut next = self.dom.first_child(root);
        while let Some(id) = next {
            if dropped[id.index()] {
                next = self.dom.skip(id, root);
                continue;
            }
            match self.dom.name(id).and_then(level) {
                Some(level) => {
                    // A heading of the same level or above ends what it stood over.
                    while pending.last().is_some_and(|&(_, above)| above >= level) {
                        if let Some((heading, _)) = pending.pop() {
                            dropped[heading.index()] = true;
                        }
                    }
                    pending.push((id, level));
                    next = self.dom.skip(id, root);
                }
                None => {
                    let shows = self.dom.text(id).is_some_and(|text| !text.trim().is_empty())
                        || self
                            .dom
                            .name(id)
                            .is_some_and(|name| matches!(*name, local_name!("img") | local_name!("table")));
                    if shows {
                        pending.clear();
                    }
                    next = self.dom.first_child(id).or_else(|| self.dom.skip(id, root));
                }
            }
        }
        for (heading, _) in pending {
            dropped[heading.index()] = true;
        }
    }
}

fn is_heading(name: &LocalName) -> bool {
    level(name).is_some()
}

fn level(name: &LocalName) -> Option<u8> {
    match *name {
        local_name!("h1") => Some(1),
        local_name!("h2") => Some(2),
        local_name!("h3") => Some(3),
        local_name!("h4") => Some(4),
        local_name!("h5") => Some(5),
        local_name!("h6") => Some(6),
        _ => None,
    }
}

/// A text without anything but letters and digits, in lower case: how titles are compared.
pub(super) fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

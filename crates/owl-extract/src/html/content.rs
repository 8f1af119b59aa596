//! Which part of a page is its content.
//!
//! The page is surveyed, what says of itself that it is boilerplate is set aside, and the part is chosen whose text reads
//! most like prose and is closest together. Inside of it, what does not belong to the text is dropped.

use html5ever::{LocalName, local_name};

use crate::document::Extractor;

use super::dom::{Dom, NodeId};
use super::prune;
use super::survey::{Facts, Survey};

/// A part of a page: what is shown of it.
#[derive(Debug)]
pub(crate) struct Content {
    /// Where it begins: everything below these, in this order.
    pub(crate) roots: Vec<NodeId>,
    /// By [`NodeId::index`]: this node, and what is in it, is left out.
    pub(crate) dropped: Vec<bool>,
    /// How it was found.
    pub(crate) extractor: Extractor,
}

impl Content {
    /// Whether a node, and what is in it, is left out.
    pub(crate) fn is_dropped(&self, id: NodeId) -> bool {
        self.dropped[id.index()]
    }
}

/// Less prose than this, in letters, is no main content.
const LEAST_WORTH: f32 = 140.0;

/// A part with this share of all prose is not boilerplate, whatever it is called.
const TOO_LARGE_TO_CUT: f32 = 0.7;

/// What says of itself that it is boilerplate is only set aside where this share of all prose remains.
const LEAST_REMAINDER: f32 = 0.15;

/// What is added to a part must be prose to this share, and add at least this much to it.
const PROSE: f32 = 0.75;
const LEAST_GAIN: f32 = 0.1;

/// What counts of the worth of a part that is far from the page's only headline.
const AWAY_FROM_HEADLINE: f32 = 0.35;

/// How much of the worth of a part remains one level further out.
const DISTANCE: f32 = 0.75;

/// Finds the main content. `title` is not repeated in it.
pub(crate) fn find(dom: &Dom, title: Option<&str>) -> Content {
    let body = dom.descendants(dom.root()).find(|&id| dom.is(id, &local_name!("body"))).unwrap_or(dom.root());
    let survey = Survey::of(dom, body);
    let dropped = survey.facts.iter().map(|facts| facts.hidden).collect();
    let mut content = Content { roots: vec![body], dropped, extractor: Extractor::Page };
    let cut = cut(dom, &survey, body);
    let clean = clean(dom, &survey, &cut);
    let related = around_headline(dom, &survey, &clean, body);
    let root = choose(dom, &survey, &cut, related.as_deref(), body);
    if let Some(root) = root {
        let root = widen(dom, &clean, root, body);
        content.roots = vec![root];
        content.extractor = Extractor::Readable;
        prune::prune(dom, &survey, &mut content, root, title);
    } else {
        prune::prune(dom, &survey, &mut content, body, None);
    }
    content
}

/// What is set aside before the content is chosen, by node.
fn cut(dom: &Dom, survey: &Survey, body: NodeId) -> Vec<bool> {
    let total = survey.at(body).worth;
    let mut cut = vec![false; survey.facts.len()];
    for &id in &survey.order {
        let facts = survey.at(id);
        let Some(name) = dom.name(id) else { continue };
        let called = facts.block && (facts.hints.boilerplate || facts.hints.comments) || is_boilerplate(name);
        cut[id.index()] = called && id != body && facts.worth < total * TOO_LARGE_TO_CUT;
    }
    let remains = clean(dom, survey, &cut)[body.index()].worth;
    if remains < LEAST_WORTH.max(total * LEAST_REMAINDER) {
        for &id in &survey.order {
            // Then only what is mostly links.
            let facts = survey.at(id);
            cut[id.index()] &= facts.linked * 2 > facts.text;
        }
    }
    cut
}

/// What of a node's text was not set aside.
#[derive(Clone, Copy, Default)]
struct Clean {
    worth: f32,
    text: f32,
}

fn clean(dom: &Dom, survey: &Survey, cut: &[bool]) -> Vec<Clean> {
    let mut all = vec![Clean::default(); survey.facts.len()];
    for &id in survey.order.iter().rev() {
        let facts = survey.at(id);
        let mut own = all[id.index()];
        own.worth += facts.own_worth;
        if dom.text(id).is_some() {
            own.text = facts.text as f32;
        }
        if cut[id.index()] {
            own = Clean::default();
        }
        all[id.index()] = own;
        if let Some(parent) = dom.parent(id) {
            let above = &mut all[parent.index()];
            above.worth += own.worth;
            above.text += own.text;
        }
    }
    all
}

/// The part around `found` that the text goes on in: an article in several sections, of which `found` is one.
fn widen(dom: &Dom, clean: &[Clean], found: NodeId, body: NodeId) -> NodeId {
    let mut widest = found;
    for outer in dom.ancestors(found).take_while(|&outer| outer != body) {
        let (inside, around) = (clean[widest.index()], clean[outer.index()]);
        let (worth, text) = (around.worth - inside.worth, around.text - inside.text);
        if text < 20.0 {
            continue;
        }
        if worth < text * PROSE {
            break;
        }
        if worth > inside.worth * LEAST_GAIN {
            widest = outer;
        }
    }
    widest
}

/// The nodes in and around the `article` that has the page's only headline; `None` where there is no such.
fn around_headline(dom: &Dom, survey: &Survey, clean: &[Clean], body: NodeId) -> Option<Vec<bool>> {
    let mut headlines =
        survey.order.iter().copied().filter(|&id| dom.is(id, &local_name!("h1")) && survey.at(id).text > 0);
    let headline = headlines.next().filter(|_| headlines.next().is_none())?;
    let near = dom.ancestors(headline).find(|&outer| dom.is(outer, &local_name!("article")))?;
    if clean[near.index()].worth < LEAST_WORTH.max(clean[body.index()].worth * 0.2) {
        return None;
    }
    let mut related = vec![false; dom.len()];
    for outer in dom.ancestors(near) {
        related[outer.index()] = true;
    }
    related[near.index()] = true;
    for inner in dom.descendants(near) {
        related[inner.index()] = true;
    }
    Some(related)
}

/// The part whose text reads most like prose and is closest together.
fn choose(dom: &Dom, survey: &Survey, cut: &[bool], related: Option<&[bool]>, body: NodeId) -> Option<NodeId> {
    let mut scores = vec![0.0_f32; survey.facts.len()];
    let mut best: Option<(f32, NodeId)> = None;
    for &id in survey.order.iter().rev() {
        let facts = survey.at(id);
        if cut[id.index()] {
            continue;
        }
        let mut score = scores[id.index()];
        if facts.block {
            let strange = related.is_some_and(|related| !related[id.index()]);
            score += facts.own_worth * if strange { AWAY_FROM_HEADLINE } else { 1.0 };
            let rated = score * factor(dom, id, facts);
            if best.is_none_or(|(most, _)| rated > most) && !dom.is(id, &local_name!("p")) {
                best = Some((rated, id));
            }
            score *= DISTANCE;
        }
        if id != body
            && let Some(parent) = dom.parent(id)
        {
            scores[parent.index()] += score;
        }
    }
    best.filter(|&(_, id)| survey.at(id).worth >= LEAST_WORTH).map(|(_, id)| id)
}

/// Elements that HTML defines as not being the main content.
pub(super) fn is_boilerplate(name: &LocalName) -> bool {
    matches!(*name, local_name!("nav") | local_name!("aside") | local_name!("footer") | local_name!("form"))
}

fn factor(dom: &Dom, id: NodeId, facts: &Facts) -> f32 {
    let named = if facts.hints.body { 1.3 } else { 1.0 };
    match dom.name(id) {
        Some(name) if *name == local_name!("article") => 1.15 * named,
        Some(name) if *name == local_name!("main") => 1.1 * named,
        _ => named,
    }
}

//! Which part of a page is its content.
//!
//! The page is surveyed, what says of itself that it is boilerplate is set aside, and the part is chosen whose text reads
//! most like prose and is closest together. Inside of it, what does not belong to the text is dropped.

use html5ever::{LocalName, local_name};

use crate::document::Extractor;

use super::dom::{Dom, NodeId, Step};
use super::prune::{self, Leave, Manner};
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

/// Or prose to this share, and this much: what was found is then one section of several.
const MIXED: f32 = 0.5;
const LARGE_GAIN: f32 = 0.35;
const LARGE_SECTION: f32 = 800.0;

/// A page of whose text less than this share is kept is one of many small parts: a list of results, a home page.
const LEAST_KEPT: f32 = 0.25;

/// The same for a part with much prose, in letters.
const LEAST_KEPT_OF_MUCH: f32 = 0.08;
const MUCH_WORTH: f32 = 350.0;

/// A part with less of a page's prose than this is one of many, unless the page says that it is an article.
const LEAST_SHARE: f32 = 0.6;

/// With this share of the text, what is called the main part is that.
const MAIN: f32 = 0.6;

/// What counts of prose that stands before the page's only headline, or in another article.
const AWAY_FROM_HEADLINE: f32 = 0.35;

/// How much of the worth of a part remains one level further out.
const DISTANCE: f32 = 0.75;

/// Finds the main content. `title` is not repeated in it; `captions` of pictures are kept on demand.
pub(crate) fn find(dom: &Dom, title: Option<&str>, captions: bool) -> Content {
    let body = dom.descendants(dom.root()).find(|&id| dom.is(id, &local_name!("body"))).unwrap_or(dom.root());
    let survey = Survey::of(dom, body);
    let cut = cut(dom, &survey, body);
    let clean = clean(dom, &survey, &cut.nodes);
    let headline = headline(dom, &survey, title);
    let article = headline.and_then(|headline| article_of(dom, &clean, headline, body));
    let focus = Focus { headline, related: article.map(|article| around(dom, article)) };
    let root =
        choose(dom, &survey, &cut.nodes, &focus, body).map(|root| widen(dom, &clean, root, [Some(body), article]));
    if let Some(root) = root {
        let manner = if cut.names_are_wrong { Manner::Unnamed } else { Manner::Text };
        let content = Content {
            roots: vec![root],
            dropped: prune::prune(dom, &survey, root, manner, Leave { title, captions }),
            extractor: Extractor::Readable,
        };
        let kept = kept(dom, &survey, &content, root);
        let (part, whole) = (clean[root.index()], clean[body.index()]);
        let least = if part.worth < MUCH_WORTH { LEAST_KEPT } else { LEAST_KEPT_OF_MUCH };
        let stands_out = kept >= whole.text * least && part.worth >= whole.worth * LEAST_SHARE;
        if stands_out || (kept >= LEAST_WORTH && is_declared(dom)) {
            return content;
        }
    }
    let root = main_of_page(dom, &survey, &clean, body);
    let dropped = prune::prune(dom, &survey, root, Manner::Page, Leave { title: None, captions: true });
    Content { roots: vec![root], dropped, extractor: Extractor::Page }
}

/// The part that the page calls its main one, if it is.
fn main_of_page(dom: &Dom, survey: &Survey, clean: &[Clean], body: NodeId) -> NodeId {
    let is_main = |&id: &NodeId| dom.is(id, &local_name!("main")) || dom.attr(id, "role") == Some("main");
    let main = survey.order.iter().copied().find(is_main);
    main.filter(|main| clean[main.index()].text > clean[body.index()].text * MAIN).unwrap_or(body)
}

/// How much text is kept.
fn kept(dom: &Dom, survey: &Survey, content: &Content, root: NodeId) -> f32 {
    let (mut kept, mut left_out) = (0.0, None);
    for step in dom.walk(root) {
        match step {
            Step::Enter(id) if left_out.is_none() && content.is_dropped(id) => left_out = Some(id),
            Step::Enter(id) if left_out.is_none() && dom.text(id).is_some() => kept += survey.at(id).text as f32,
            Step::Leave(id) if left_out == Some(id) => left_out = None,
            Step::Enter(_) | Step::Leave(_) => {}
        }
    }
    kept
}

/// Whether the page says to machines that it is an article.
fn is_declared(dom: &Dom) -> bool {
    dom.descendants(dom.root()).any(|id| match dom.name(id) {
        Some(name) if *name == local_name!("meta") => {
            dom.attr(id, "property") == Some("og:type")
                && dom.attr(id, "content").is_some_and(|kind| kind.starts_with("article"))
        }
        Some(name) if *name == local_name!("script") => {
            dom.attr(id, "type") == Some("application/ld+json")
                && dom.children(id).filter_map(|text| dom.text(text)).any(|text| {
                    ["Article\"", "BlogPosting\""]
                        .iter()
                        .any(|kind| memchr::memmem::find(text.as_bytes(), kind.as_bytes()).is_some())
                })
        }
        _ => false,
    })
}

/// What is set aside, by node.
struct Cut {
    nodes: Vec<bool>,
    /// Setting aside what is called boilerplate would leave nothing: the names say something else here.
    names_are_wrong: bool,
}

/// What is set aside before the content is chosen, by node.
fn cut(dom: &Dom, survey: &Survey, body: NodeId) -> Cut {
    let total = survey.at(body).worth;
    let mut cut = vec![false; survey.facts.len()];
    for &id in &survey.order {
        let facts = survey.at(id);
        let Some(name) = dom.name(id) else { continue };
        let called =
            facts.block && (is_called_boilerplate(facts, total) || facts.hints.comments) || is_boilerplate(name);
        cut[id.index()] = called && id != body && facts.worth < total * TOO_LARGE_TO_CUT;
    }
    let remains = clean(dom, survey, &cut)[body.index()].worth;
    let names_are_wrong = remains < LEAST_WORTH.max(total * LEAST_REMAINDER);
    if names_are_wrong {
        for &id in &survey.order {
            // Then only what is mostly links.
            let facts = survey.at(id);
            cut[id.index()] &= facts.linked * 2 > facts.text;
        }
    }
    for &id in survey.order.iter().filter(|&&id| id != body) {
        cut[id.index()] |= dom.parent(id).is_some_and(|parent| cut[parent.index()]);
    }
    Cut { nodes: cut, names_are_wrong }
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
fn widen(dom: &Dom, clean: &[Clean], found: NodeId, limits: [Option<NodeId>; 2]) -> NodeId {
    let mut widest = found;
    let inner = std::iter::once(found).chain(dom.ancestors(found)).take_while(|&inner| !limits.contains(&Some(inner)));
    for outer in inner.filter_map(|inner| dom.parent(inner)) {
        let (inside, around) = (clean[widest.index()], clean[outer.index()]);
        let (worth, text) = (around.worth - inside.worth, around.text - inside.text);
        if text < 20.0 {
            continue;
        }
        let is_prose = worth >= text * PROSE && worth > inside.worth * LEAST_GAIN;
        let is_much = worth >= text * MIXED && worth > LARGE_SECTION.max(inside.worth * LARGE_GAIN);
        if is_prose || is_much {
            widest = outer;
        }
    }
    widest
}

/// Where the content is near.
struct Focus {
    headline: Option<NodeId>,
    /// What is in the article of the headline, or around that, by node.
    related: Option<Vec<bool>>,
}

/// The page's headline: the only one of the first level, else the first that the title repeats.
fn headline(dom: &Dom, survey: &Survey, title: Option<&str>) -> Option<NodeId> {
    let is_first_level = |&id: &NodeId| dom.is(id, &local_name!("h1")) && survey.at(id).text > 0;
    let mut headlines = survey.order.iter().copied().filter(is_first_level);
    if let (Some(only), None) = (headlines.next(), headlines.next()) {
        return Some(only);
    }
    let title = prune::letters(title?);
    let repeats = |&id: &NodeId| {
        let is_heading = matches!(dom.name(id), Some(name) if matches!(*name, local_name!("h1") | local_name!("h2")));
        let text = if is_heading { prune::letters(&dom.text_content(id)) } else { String::new() };
        text.len() > 15 && (title.contains(&text) || text.contains(&title))
    };
    survey.order.iter().copied().find(repeats)
}

/// The `article` that has the page's headline.
fn article_of(dom: &Dom, clean: &[Clean], headline: NodeId, body: NodeId) -> Option<NodeId> {
    let article = dom.ancestors(headline).find(|&outer| dom.is(outer, &local_name!("article")))?;
    let least = LEAST_WORTH.max(clean[body.index()].worth * 0.2);
    (clean[article.index()].worth >= least).then_some(article)
}

/// The nodes in and around a part.
fn around(dom: &Dom, part: NodeId) -> Vec<bool> {
    let mut around = vec![false; dom.len()];
    for id in dom.ancestors(part).chain(std::iter::once(part)).chain(dom.descendants(part)) {
        around[id.index()] = true;
    }
    around
}

/// The part whose text reads most like prose and is closest together.
fn choose(dom: &Dom, survey: &Survey, cut: &[bool], focus: &Focus, body: NodeId) -> Option<NodeId> {
    let mut scores = vec![0.0_f32; survey.facts.len()];
    let mut best: Option<(f32, NodeId)> = None;
    let headline = focus.headline.and_then(|headline| survey.order.iter().position(|&id| id == headline));
    for (place, &id) in survey.order.iter().enumerate().rev() {
        let facts = survey.at(id);
        if cut[id.index()] {
            continue;
        }
        let mut score = scores[id.index()];
        if facts.block {
            let strange = focus.related.as_ref().is_some_and(|related| !related[id.index()])
                || headline.is_some_and(|headline| place < headline);
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

/// Whether it says that it is boilerplate, and may be believed, where all prose together is `total`.
pub(super) fn is_called_boilerplate(facts: &Facts, total: f32) -> bool {
    let no_prose = facts.linked * 3 > facts.text || (facts.worth < total * 0.05 && facts.links > 0);
    facts.hints.boilerplate || (facts.hints.doubtful && no_prose)
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

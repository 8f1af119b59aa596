//! What of the chosen part is left out.

use html5ever::local_name;

use super::content::Content;
use super::dom::{Dom, NodeId};
use super::survey::Survey;

/// Drops what does not belong to the text below `root`.
pub(super) fn prune(dom: &Dom, survey: &Survey, content: &mut Content, root: NodeId, title: Option<&str>) {
    let total = survey.at(root).worth;
    let mut next = dom.first_child(root);
    while let Some(id) = next {
        if content.is_dropped(id) || drops(dom, survey, id, total, title) {
            content.dropped[id.index()] = true;
            next = dom.skip(id, root);
        } else {
            next = dom.first_child(id).or_else(|| dom.skip(id, root));
        }
    }
}

fn drops(dom: &Dom, survey: &Survey, id: NodeId, total: f32, title: Option<&str>) -> bool {
    let Some(name) = dom.name(id) else { return false };
    let facts = survey.at(id);
    match *name {
        local_name!("nav") | local_name!("aside") | local_name!("footer") | local_name!("form") => {
            facts.worth < total * 0.4
        }
        local_name!("button")
        | local_name!("select")
        | local_name!("input")
        | local_name!("textarea")
        | local_name!("figcaption") => true,
        local_name!("h1") => title.is_some(),
        _ => {
            let dense = facts.linked * 2 > facts.text && facts.text > 0;
            (facts.hints.boilerplate && facts.worth < total * 0.3)
                || (facts.hints.beside && facts.text < 200 && facts.worth < total * 0.3)
                || (facts.hints.comments && facts.block && total - facts.worth > 400.0)
                || (facts.block && dense && facts.worth < total * 0.1)
        }
    }
}

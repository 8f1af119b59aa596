//! Footnotes: which links lead to one, and where it is.

use std::borrow::Cow;
use std::collections::HashMap;

use html5ever::local_name;

use crate::html::content::Content;
use crate::html::dom::{Dom, NodeId};
use crate::html::hidden::is_hidden;

/// The footnotes of a page.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The number of the note that a link refers to.
    references: HashMap<NodeId, usize>,
    /// The number of the note that an element is.
    definitions: HashMap<NodeId, usize>,
    /// The elements, by their number less one.
    order: Vec<NodeId>,
}

impl Notes {
    pub(super) fn find(dom: &Dom, content: &Content) -> Self {
        let mut sought: HashMap<Cow<'_, str>, Vec<NodeId>> = HashMap::new();
        let mut links = Vec::new();
        for &root in &content.roots {
            let mut next = Some(root);
            while let Some(id) = next {
                if content.is_dropped(id) {
                    next = dom.skip(id, root);
                    continue;
                }
                if let Some(fragment) = refers(dom, id) {
                    sought.entry(fragment.clone()).or_default().push(id);
                    links.push((id, fragment));
                }
                next = dom.first_child(id).or_else(|| dom.skip(id, root));
            }
        }
        let mut targets: HashMap<Cow<'_, str>, NodeId> = HashMap::new();
        if !sought.is_empty() {
            for id in dom.descendants(dom.root()) {
                let name = dom.attr(id, "id").or_else(|| dom.attr(id, "name"));
                if let Some((name, links)) = name.and_then(|name| sought.get_key_value(name))
                    && let Some(block) = definition(dom, id, links)
                {
                    targets.entry(name.clone()).or_insert(block);
                }
            }
        }
        let mut notes = Self::default();
        for (link, fragment) in links {
            if let Some(&block) = targets.get(&fragment).filter(|block| block.index() > link.index()) {
                let next = notes.order.len() + 1;
                let number = *notes.definitions.entry(block).or_insert(next);
                if number == next {
                    notes.order.push(block);
                }
                notes.references.insert(link, number);
            }
        }
        notes
    }

    /// The note that a link refers to.
    pub(super) fn reference(&self, link: NodeId) -> Option<usize> {
        self.references.get(&link).copied()
    }

    /// The note that this element is.
    pub(super) fn definition(&self, id: NodeId) -> Option<usize> {
        self.definitions.get(&id).copied()
    }

    /// All of them in their order.
    pub(super) fn all(&self) -> &[NodeId] {
        &self.order
    }
}

/// The place in this page that a short link like a number leads to, where it looks like a reference to a note.
fn refers<'a>(dom: &'a Dom, id: NodeId) -> Option<Cow<'a, str>> {
    if !dom.is(id, &local_name!("a")) {
        return None;
    }
    let fragment = dom.attr(id, "href")?.trim().strip_prefix('#').filter(|fragment| !fragment.is_empty())?;
    let text: String = dom.descendants(id).take(8).filter_map(|id| dom.text(id)).collect();
    let text = text.trim_matches(|c: char| c.is_whitespace() || "[](){}".contains(c));
    let short = (1..=4).contains(&text.chars().count());
    let numbered = text.chars().all(|c| c.is_alphanumeric() || "*†‡§".contains(c));
    let says = |id, names: [&str; 3]| {
        names.iter().filter_map(|name| dom.attr(id, name)).any(|v| v.contains("footnote") || v.contains("noteref"))
    };
    let raised = dom.ancestors(id).take(2).any(|outer| dom.is(outer, &local_name!("sup")))
        || dom.children(id).any(|inner| dom.is(inner, &local_name!("sup")));
    let called =
        ["fn", "_ftn", "ftnt", "footnote", "note-", "cite_note", "endnote"].iter().any(|p| fragment.starts_with(p));
    let is_note = raised || called || says(id, ["class", "role", "epub:type"]);
    (short && numbered && is_note).then(|| percent_encoding::percent_decode_str(fragment).decode_utf8_lossy())
}

/// The block of the note that a link leads to, which is neither hidden nor around the links.
fn definition(dom: &Dom, target: NodeId, links: &[NodeId]) -> Option<NodeId> {
    let is_block = |id: NodeId| {
        dom.name(id).is_some_and(|name| {
            matches!(
                *name,
                local_name!("li") | local_name!("p") | local_name!("div") | local_name!("dd") | local_name!("aside")
            )
        })
    };
    let block = std::iter::once(target).chain(dom.ancestors(target).take(4)).find(|&id| is_block(id))?;
    let hidden = std::iter::once(block).chain(dom.ancestors(block)).any(|id| is_hidden(dom, id));
    let around = links.iter().take(4).any(|&link| dom.ancestors(link).any(|outer| outer == block));
    (!hidden && !around).then_some(block)
}

//! CSS selectors: which parts of a page somebody asked for.
//!
//! The crates for this (`selectors`, `cssparser`) have a licence that Owl does not take in, and try combinations, which takes
//! more than linear time for some selectors. Here each step is a set of nodes made from the set before it, in one walk, so
//! that the time is the length of the page times the length of the selector.
//!
//! Known: lists, `tag`, `*`, `#id`, `.class`, `[attribute]` with all operators and `i`, the four combinators, `:not`,
//! `:is`, `:where`, `:has`, `:root`, `:empty`, `:first-child` and its family up to `:nth-last-of-type`.
//!
//! Read next: `parse`.

mod parse;

use std::collections::HashMap;

use super::dom::{Dom, NodeId};

/// A list of selectors: what any of them matches.
#[derive(Debug)]
pub(crate) struct Selectors(Vec<Selector>);

/// A selector: steps with what is between them; the first has nothing before it.
#[derive(Debug)]
struct Selector(Vec<(Combinator, Vec<Test>)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Combinator {
    /// ` `, and before the first step.
    Descendant,
    /// `>`
    Child,
    /// `+`
    Next,
    /// `~`
    Later,
}

/// What an element is asked.
#[derive(Debug)]
enum Test {
    Any,
    Tag(String),
    Attribute { name: String, operator: Operator, value: String, ignore_case: bool },
    Position { step: i64, offset: i64, of_type: bool, from_end: bool },
    Only { of_type: bool },
    Root,
    Empty,
    Is(Selectors),
    Not(Selectors),
    Has(Selectors),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Exists,
    Equals,
    Word,
    Language,
    Begins,
    Ends,
    Contains,
}

/// A set of nodes, by [`NodeId::index`].
type Set = Vec<bool>;

impl Selectors {
    /// Reads a list of selectors.
    ///
    /// # Errors
    /// What is wrong with it, for whoever wrote it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text)
    }

    /// The elements it matches, in the order of the page, without those that are in another of them.
    pub(crate) fn select(&self, dom: &Dom) -> Vec<NodeId> {
        let set = self.set(dom, &order(dom));
        let mut found = Vec::new();
        let mut next = Some(dom.root());
        while let Some(id) = next {
            if set[id.index()] {
                found.push(id);
                next = dom.skip(id, dom.root());
            } else {
                next = dom.first_child(id).or_else(|| dom.skip(id, dom.root()));
            }
        }
        found
    }

    fn set(&self, dom: &Dom, order: &[NodeId]) -> Set {
        let mut set = vec![false; dom.len()];
        for selector in &self.0 {
            for (all, one) in set.iter_mut().zip(selector.set(dom, order)) {
                *all |= one;
            }
        }
        set
    }
}

/// The elements of a page, parents before children.
fn order(dom: &Dom) -> Vec<NodeId> {
    dom.descendants(dom.root()).filter(|&id| dom.name(id).is_some()).collect()
}

impl Selector {
    fn set(&self, dom: &Dom, order: &[NodeId]) -> Set {
        let mut set = Set::new();
        for (index, (combinator, tests)) in self.0.iter().enumerate() {
            let mut reached = if index == 0 { everything(dom, order) } else { reach(dom, order, &set, *combinator) };
            for test in tests {
                test.narrow(dom, order, &mut reached);
            }
            set = reached;
        }
        set
    }
}

/// All elements.
fn everything(dom: &Dom, order: &[NodeId]) -> Set {
    let mut set = vec![false; dom.len()];
    for &id in order {
        set[id.index()] = true;
    }
    set
}

/// What a combinator leads to from a set.
fn reach(dom: &Dom, order: &[NodeId], from: &Set, combinator: Combinator) -> Set {
    let mut reached = vec![false; dom.len()];
    for &id in order {
        let near = match combinator {
            Combinator::Descendant | Combinator::Child => dom.parent(id),
            Combinator::Next | Combinator::Later => previous_element(dom, id),
        };
        let goes_on = matches!(combinator, Combinator::Descendant | Combinator::Later);
        reached[id.index()] = near.is_some_and(|near| from[near.index()] || (goes_on && reached[near.index()]));
    }
    reached
}

/// Between two elements there are at most as many texts as were put there, and each is passed from one side only.
fn previous_element(dom: &Dom, id: NodeId) -> Option<NodeId> {
    std::iter::successors(dom.previous(id), |&node| dom.previous(node)).find(|&node| dom.name(node).is_some())
}

impl Test {
    /// Takes out of `set` what does not pass.
    fn narrow(&self, dom: &Dom, order: &[NodeId], set: &mut Set) {
        match self {
            Self::Any => {}
            Self::Tag(name) => {
                keep(order, set, |id| dom.name(id).is_some_and(|found| (**found).eq_ignore_ascii_case(name)));
            }
            Self::Attribute { name, operator, value, ignore_case } => keep(order, set, |id| {
                dom.attr(id, name).is_some_and(|found| operator.holds(found, value, *ignore_case))
            }),
            Self::Position { step, offset, of_type, from_end } => {
                let positions = positions(dom, order, *of_type, *from_end);
                keep(order, set, |id| is_in_sequence(positions[id.index()], *step, *offset));
            }
            Self::Only { of_type } => {
                let (first, last) = (positions(dom, order, *of_type, false), positions(dom, order, *of_type, true));
                keep(order, set, |id| first[id.index()] == 1 && last[id.index()] == 1);
            }
            Self::Root => keep(order, set, |id| dom.parent(id) == Some(dom.root())),
            Self::Empty => keep(order, set, |id| dom.first_child(id).is_none()),
            Self::Is(list) => {
                let inner = list.set(dom, order);
                keep(order, set, |id| inner[id.index()]);
            }
            Self::Not(list) => {
                let inner = list.set(dom, order);
                keep(order, set, |id| !inner[id.index()]);
            }
            Self::Has(list) => {
                let mut holds = list.set(dom, order);
                for &id in order.iter().rev() {
                    if let Some(parent) = dom.parent(id).filter(|_| holds[id.index()]) {
                        holds[parent.index()] = true;
                    }
                }
                keep(order, set, |id| dom.children(id).any(|child| holds[child.index()]));
            }
        }
    }
}

fn keep(order: &[NodeId], set: &mut Set, passes: impl Fn(NodeId) -> bool) {
    for &id in order {
        set[id.index()] = set[id.index()] && passes(id);
    }
}

/// Which element among its siblings each is, from 1.
fn positions(dom: &Dom, order: &[NodeId], of_type: bool, from_end: bool) -> Vec<i64> {
    let mut positions = vec![0; dom.len()];
    let mut counts: HashMap<(NodeId, Option<&str>), i64> = HashMap::new();
    let mut count = |id: NodeId| {
        let Some(parent) = dom.parent(id) else { return };
        let of = if of_type { dom.name(id).map(|name| &**name) } else { None };
        let position = counts.entry((parent, of)).or_insert(0);
        *position += 1;
        positions[id.index()] = *position;
    };
    if from_end {
        order.iter().rev().for_each(|&id| count(id));
    } else {
        order.iter().for_each(|&id| count(id));
    }
    positions
}

/// Whether there is an n from 0 on for which `step * n + offset` is `position`.
fn is_in_sequence(position: i64, step: i64, offset: i64) -> bool {
    let distance = position - offset;
    if step == 0 { distance == 0 } else { distance % step == 0 && distance / step >= 0 }
}

impl Operator {
    fn holds(self, found: &str, value: &str, ignore_case: bool) -> bool {
        if ignore_case {
            return self.holds(&found.to_ascii_lowercase(), &value.to_ascii_lowercase(), false);
        }
        match self {
            Self::Exists => true,
            Self::Equals => found == value,
            Self::Word => found.split_ascii_whitespace().any(|word| word == value),
            Self::Language => found.strip_prefix(value).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
            Self::Begins => !value.is_empty() && found.starts_with(value),
            Self::Ends => !value.is_empty() && found.ends_with(value),
            Self::Contains => !value.is_empty() && found.contains(value),
        }
    }
}

#[cfg(test)]
mod tests;

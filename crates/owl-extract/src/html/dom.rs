//! A page as a tree: nodes in one vector, their texts in one string.
//!
//! What the tree never has: comments, processing instructions, more than [`MOST_OPEN`] levels, more nodes than the page
//! has bytes. Every walk is a loop over links between nodes, so that no page is deep enough to end the program.
//!
//! Read next: `build` (how html5ever fills it).

use html5ever::LocalName;

#[path = "build.rs"]
mod build;

/// How many elements may be open at once while a page is read. What is opened inside of that many is put into the
/// deepest of them: its text is kept, its elements are not. Browsers stop at 512 too.
const MOST_OPEN: usize = 512;

const NONE: u32 = u32::MAX;

/// The place of a node in its [`Dom`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u32);

/// A page.
#[derive(Debug)]
pub(crate) struct Dom {
    nodes: Vec<Node>,
    attributes: Vec<Attribute>,
    /// Every text and every attribute, one after the other.
    text: String,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    previous: u32,
    next: u32,
    first: u32,
    last: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Document,
    Element { name: LocalName, namespace: Namespace, attributes: Span },
    Text(Span),
}

/// From where to where, in [`Dom::text`] or [`Dom::attributes`].
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
struct Attribute {
    name: Span,
    value: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Namespace {
    Html,
    Svg,
    MathMl,
}

/// A step of a walk over a tree: see [`Dom::step_after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A node begins.
    Enter(NodeId),
    /// A node ends: everything in it was walked.
    Leave(NodeId),
}

impl NodeId {
    /// Its place in the vector of nodes, for tables that are kept beside the tree ([`Dom::len`] entries).
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

fn some(link: u32) -> Option<NodeId> {
    (link != NONE).then_some(NodeId(link))
}

impl Dom {
    /// Reads a page. Whatever the text is, there is a tree.
    pub(crate) fn parse(page: &str) -> Self {
        build::parse(page)
    }

    /// The node that holds everything.
    pub(crate) fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// How many nodes there are: every [`NodeId::index`] is below it.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The name of an element, in lower case (`local_name!("div")`); `None` for a text.
    pub(crate) fn name(&self, id: NodeId) -> Option<&LocalName> {
        match &self.nodes[id.index()].kind {
            Kind::Element { name, .. } => Some(name),
            Kind::Document | Kind::Text(_) => None,
        }
    }

    /// Whether it is an element of this name.
    pub(crate) fn is(&self, id: NodeId, wanted: &LocalName) -> bool {
        self.name(id) == Some(wanted)
    }

    /// Whether it is an element of HTML: not of a drawing (SVG) and not of a formula (MathML).
    pub(crate) fn is_html(&self, id: NodeId) -> bool {
        matches!(self.nodes[id.index()].kind, Kind::Element { namespace: Namespace::Html, .. })
    }

    /// The text of a text node; `None` for an element. Neighbouring texts may be several nodes.
    pub(crate) fn text(&self, id: NodeId) -> Option<&str> {
        match self.nodes[id.index()].kind {
            Kind::Text(span) => Some(self.slice(span)),
            Kind::Document | Kind::Element { .. } => None,
        }
    }

    /// The value of an attribute of an element, whose name is given in lower case; empty where it has none (`<p hidden>`).
    pub(crate) fn attr(&self, id: NodeId, wanted: &str) -> Option<&str> {
        self.attrs(id).find_map(|(name, value)| (name == wanted).then_some(value))
    }

    /// The attributes of an element: names in lower case, and values.
    pub(crate) fn attrs(&self, id: NodeId) -> impl Iterator<Item = (&str, &str)> {
        let span = match self.nodes[id.index()].kind {
            Kind::Element { attributes, .. } => attributes,
            Kind::Document | Kind::Text(_) => Span::default(),
        };
        let list = &self.attributes[span.start as usize..span.end as usize];
        list.iter().map(|attribute| (self.slice(attribute.name), self.slice(attribute.value)))
    }

    /// The node that it is in.
    pub(crate) fn parent(&self, id: NodeId) -> Option<NodeId> {
        some(self.nodes[id.index()].parent)
    }

    /// The first node in it.
    pub(crate) fn first_child(&self, id: NodeId) -> Option<NodeId> {
        some(self.nodes[id.index()].first)
    }

    /// The node before it under the same parent.
    pub(crate) fn previous(&self, id: NodeId) -> Option<NodeId> {
        some(self.nodes[id.index()].previous)
    }

    /// The node after it under the same parent.
    pub(crate) fn next(&self, id: NodeId) -> Option<NodeId> {
        some(self.nodes[id.index()].next)
    }

    /// The nodes directly in it.
    pub(crate) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.first_child(id), |&child| self.next(child))
    }

    /// The nodes it is in, from its parent outwards.
    pub(crate) fn ancestors(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.parent(id), |&node| self.parent(node))
    }

    /// Every node below it, in the order of the page.
    pub(crate) fn descendants(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.first_child(id), move |&node| self.first_child(node).or_else(|| self.skip(node, id)))
    }

    /// The node that follows `node` and everything in it, still below `within`: how a walk leaves a subtree out.
    pub(crate) fn skip(&self, node: NodeId, within: NodeId) -> Option<NodeId> {
        let mut node = node;
        while node != within {
            if let Some(next) = self.next(node) {
                return Some(next);
            }
            node = self.parent(node)?;
        }
        None
    }

    /// The step after `step` of a walk over `within`, which begins with entering that; `enters`: whether what is in a node
    /// that was just entered is walked too.
    pub(crate) fn step_after(&self, step: Step, within: NodeId, enters: bool) -> Option<Step> {
        match step {
            Step::Enter(id) => Some(self.first_child(id).filter(|_| enters).map_or(Step::Leave(id), Step::Enter)),
            Step::Leave(id) if id == within => None,
            Step::Leave(id) => self.next(id).map(Step::Enter).or_else(|| self.parent(id).map(Step::Leave)),
        }
    }

    /// `id` and everything below it, each with its beginning and its end.
    pub(crate) fn walk(&self, id: NodeId) -> impl Iterator<Item = Step> {
        std::iter::successors(Some(Step::Enter(id)), move |&step| self.step_after(step, id, true))
    }

    /// The texts below it, one after the other, as they are in the page: hidden ones too, spaces unchanged.
    pub(crate) fn text_content(&self, id: NodeId) -> String {
        self.descendants(id).filter_map(|node| self.text(node)).collect()
    }

    fn slice(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }
}

#[cfg(test)]
#[path = "dom_tests.rs"]
mod tests;

//! How html5ever fills a [`Dom`]: the sink that its tree builder writes to, and a bound on what it may keep open.
//!
//! The tree builder searches its list of open elements at nearly every tag, which takes quadratic time on a page that
//! opens without closing. So that no page can do this, [`Bounded`] stands between tokenizer and tree builder and drops
//! tags while [`MOST_OPEN`] elements are open.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{EndTag, StartTag, Tag, Token, TokenSink, TokenSinkResult};
use html5ever::tree_builder::{
    ElemName, ElementFlags, NodeOrText, QuirksMode, Tracer, TreeBuilder, TreeBuilderOpts, TreeSink,
};
use html5ever::{LocalName, Namespace as Uri, QualName, local_name, ns};

use super::super::tokens;
use super::{Attribute, Dom, Kind, MOST_OPEN, NONE, Namespace, Node, NodeId, Span};

/// An attribute longer than this, in bytes, is as good as none: it is a picture or a program.
const LONGEST_ATTRIBUTE: usize = 64 * 1024;

/// Attributes that the root elements gather from further tags of theirs.
const MOST_ADDED: u32 = 64;

/// Pages longer than this, in bytes, are read up to here: places in texts are 32 bits.
const LONGEST_PAGE: usize = 256 * 1024 * 1024;

pub(super) fn parse(page: &str) -> Dom {
    let page = super::super::beginning(page, LONGEST_PAGE);
    let options = TreeBuilderOpts { scripting_enabled: false, drop_doctype: true, ..TreeBuilderOpts::default() };
    let builder = TreeBuilder::new(Sink::new(page.len()), options);
    let bounded = Bounded { builder, skipped: Cell::new(0), is_known_full: Cell::new(false) };
    tokens::tokenize(&readable(page), &bounded, &bounded.builder.sink);
    bounded.builder.sink.finish()
}

/// The page with line ends as HTML has them, and without what it does not have.
fn readable(page: &str) -> StrTendril {
    if page.contains(['\r', '\0']) {
        StrTendril::from(page.replace("\r\n", "\n").replace('\r', "\n").replace('\0', ""))
    } else {
        StrTendril::from_slice(page)
    }
}

/// The tree builder behind its bound.
struct Bounded {
    builder: TreeBuilder<NodeId, Sink>,
    /// How many start tags were dropped whose end tags have not come yet.
    skipped: Cell<usize>,
    /// Nothing was closed since it was found to be full.
    is_known_full: Cell<bool>,
}

/// Counts what the tree builder holds on to.
#[derive(Default)]
struct Count(Cell<usize>);

impl Tracer for Count {
    type Handle = NodeId;

    fn trace_handle(&self, _: &NodeId) {
        self.0.set(self.0.get() + 1);
    }
}

impl Bounded {
    /// Whether this tag is to be dropped.
    fn refuses(&self, tag: &Tag) -> bool {
        match tag.kind {
            EndTag => {
                let skipped = self.skipped.get();
                self.skipped.set(skipped.saturating_sub(usize::from(never_stays_open(&tag.name)) ^ 1));
                skipped > 0 && !never_stays_open(&tag.name)
            }
            StartTag => {
                let refused = !never_stays_open(&tag.name) && self.is_full();
                self.skipped.set(self.skipped.get() + usize::from(refused));
                refused
            }
        }
    }

    fn is_full(&self) -> bool {
        let sink = &self.builder.sink;
        if sink.nodes.borrow().len() >= sink.most_nodes {
            return true;
        }
        // The count is an upper bound: the tree builder does not tell of everything that it closes.
        if sink.open.get() >= MOST_OPEN && !self.is_known_full.get() {
            let count = Count::default();
            self.builder.trace_handles(&count);
            sink.open.set(count.0.get());
            self.is_known_full.set(count.0.get() >= MOST_OPEN);
        }
        self.is_known_full.get()
    }
}

/// Elements that hold no element, or text that must not be taken for markup.
fn never_stays_open(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("script")
            | local_name!("style")
            | local_name!("textarea")
            | local_name!("title")
            | local_name!("iframe")
            | local_name!("noembed")
            | local_name!("noframes")
            | local_name!("xmp")
            | local_name!("plaintext")
            | local_name!("br")
            | local_name!("hr")
            | local_name!("img")
            | local_name!("input")
            | local_name!("meta")
            | local_name!("link")
    )
}

impl TokenSink for Bounded {
    type Handle = NodeId;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<NodeId> {
        match token {
            Token::TagToken(tag) if self.refuses(&tag) => TokenSinkResult::Continue,
            Token::CommentToken(_) | Token::ParseError(_) => TokenSinkResult::Continue,
            token => {
                self.is_known_full.set(false);
                self.builder.process_token(token, line)
            }
        }
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

/// What the tree builder writes to.
struct Sink {
    nodes: RefCell<Vec<Node>>,
    attributes: RefCell<Vec<Attribute>>,
    /// The lists of attributes, by number.
    lists: RefCell<Vec<Span>>,
    text: RefCell<String>,
    /// At most so many elements are open.
    open: Cell<usize>,
    /// A badly nested page repeats elements; the page's length bounds how often.
    most_nodes: usize,
}

/// The name of an element, as html5ever asks for it.
#[derive(Debug)]
struct Name {
    namespace: Uri,
    local: LocalName,
}

impl ElemName for Name {
    fn ns(&self) -> &Uri {
        &self.namespace
    }

    fn local_name(&self) -> &LocalName {
        &self.local
    }
}

impl Sink {
    fn new(length: usize) -> Self {
        let sink = Self {
            nodes: RefCell::new(Vec::with_capacity(length / 32 + 16)),
            attributes: RefCell::new(Vec::with_capacity(length / 64)),
            lists: RefCell::new(Vec::with_capacity(length / 64)),
            text: RefCell::new(String::with_capacity(length)),
            open: Cell::new(0),
            most_nodes: length + 1024,
        };
        sink.push(Kind::Document);
        sink
    }

    fn push(&self, kind: Kind) -> NodeId {
        let mut nodes = self.nodes.borrow_mut();
        let id = u32::try_from(nodes.len()).unwrap_or(NONE - 1);
        nodes.push(Node { parent: NONE, previous: NONE, next: NONE, first: NONE, last: NONE, kind });
        NodeId(id)
    }

    /// Copies a text into the one string.
    fn keep(&self, text: &str) -> Span {
        let mut all = self.text.borrow_mut();
        let start = place(all.len());
        all.push_str(text);
        Span { start, end: place(all.len()) }
    }

    /// The attributes of a list: the tree builder was given its number alone.
    fn list(&self, given: &[html5ever::Attribute]) -> Span {
        let number = given.iter().find(|attribute| attribute.name.local == local_name!(""));
        let number = number.and_then(|attribute| usize::from_str_radix(&attribute.value, 16).ok());
        number.and_then(|number| self.lists.borrow().get(number).copied()).unwrap_or_default()
    }

    /// The node to put where a node or a text is wanted after `before` (under `parent`): a text that continues `before`
    /// becomes part of it.
    fn node(&self, child: NodeOrText<NodeId>, before: u32) -> Option<NodeId> {
        let text = match child {
            NodeOrText::AppendNode(node) => return (node.0 != 0).then_some(node),
            NodeOrText::AppendText(text) => text,
        };
        let span = self.keep(&text);
        if let Some(Node { kind: Kind::Text(last), .. }) = self.nodes.borrow_mut().get_mut(before as usize)
            && last.end == span.start
        {
            last.end = span.end;
            return None;
        }
        Some(self.push(Kind::Text(span)))
    }

    /// Puts `node`, which is nowhere, under `parent` between two of its neighbouring children.
    fn link(&self, node: NodeId, parent: u32, previous: u32, next: u32) {
        let mut nodes = self.nodes.borrow_mut();
        let entry = &mut nodes[node.index()];
        (entry.parent, entry.previous, entry.next) = (parent, previous, next);
        match nodes.get_mut(previous as usize) {
            Some(neighbour) => neighbour.next = node.0,
            None => nodes[parent as usize].first = node.0,
        }
        match nodes.get_mut(next as usize) {
            Some(neighbour) => neighbour.previous = node.0,
            None => nodes[parent as usize].last = node.0,
        }
    }
}

/// Pages are bounded far below what 32 bits count.
fn place(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NONE - 1)
}

impl tokens::Lists for Sink {
    fn begin(&self) -> u32 {
        let start = place(self.attributes.borrow().len());
        let mut lists = self.lists.borrow_mut();
        lists.push(Span { start, end: start });
        place(lists.len() - 1)
    }

    fn add(&self, name: &str, value: &str) {
        let value = if value.len() > LONGEST_ATTRIBUTE { "" } else { value };
        let name = self.keep(name);
        let value = self.keep(value);
        self.attributes.borrow_mut().push(Attribute { name, value });
    }

    fn end(&self) {
        if let Some(list) = self.lists.borrow_mut().last_mut() {
            list.end = place(self.attributes.borrow().len());
        }
    }
}

impl TreeSink for Sink {
    type Handle = NodeId;
    type Output = Dom;
    type ElemName<'a> = Name;

    fn finish(self) -> Dom {
        Dom { nodes: self.nodes.into_inner(), attributes: self.attributes.into_inner(), text: self.text.into_inner() }
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> NodeId {
        NodeId(0)
    }

    fn elem_name(&self, target: &NodeId) -> Name {
        match &self.nodes.borrow()[target.index()].kind {
            Kind::Element { name, namespace, .. } => Name {
                namespace: match namespace {
                    Namespace::Html => ns!(html),
                    Namespace::Svg => ns!(svg),
                    Namespace::MathMl => ns!(mathml),
                },
                local: name.clone(),
            },
            Kind::Document | Kind::Text(_) => Name { namespace: ns!(), local: local_name!("") },
        }
    }

    fn create_element(&self, name: QualName, attrs: Vec<html5ever::Attribute>, _: ElementFlags) -> NodeId {
        self.open.set(self.open.get() + 1);
        let attributes = self.list(&attrs);
        let namespace = match name.ns {
            ns!(svg) => Namespace::Svg,
            ns!(mathml) => Namespace::MathMl,
            _ => Namespace::Html,
        };
        self.push(Kind::Element { name: name.local, namespace, attributes })
    }

    /// Comments are not kept. The document stands for every one of them: nothing is ever put into itself.
    fn create_comment(&self, _: StrTendril) -> NodeId {
        NodeId(0)
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> NodeId {
        NodeId(0)
    }

    fn append(&self, parent: &NodeId, child: NodeOrText<NodeId>) {
        let last = self.nodes.borrow()[parent.index()].last;
        if let Some(node) = self.node(child, last) {
            self.link(node, parent.0, last, NONE);
        }
    }

    fn append_based_on_parent_node(&self, element: &NodeId, previous: &NodeId, child: NodeOrText<NodeId>) {
        if self.nodes.borrow()[element.index()].parent == NONE {
            self.append(previous, child);
        } else {
            self.append_before_sibling(element, child);
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn pop(&self, _: &NodeId) {
        self.open.set(self.open.get().saturating_sub(1));
    }

    fn get_template_contents(&self, target: &NodeId) -> NodeId {
        *target
    }

    fn same_node(&self, x: &NodeId, y: &NodeId) -> bool {
        x == y
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &NodeId, child: NodeOrText<NodeId>) {
        if let NodeOrText::AppendNode(node) = child {
            self.remove_from_parent(&node);
        }
        let (parent, previous) = {
            let entry = &self.nodes.borrow()[sibling.index()];
            (entry.parent, entry.previous)
        };
        if parent == NONE {
            return;
        }
        if let Some(node) = self.node(child, previous) {
            self.link(node, parent, previous, sibling.0);
        }
    }

    fn add_attrs_if_missing(&self, target: &NodeId, attrs: Vec<html5ever::Attribute>) {
        let Kind::Element { attributes: old, .. } = self.nodes.borrow()[target.index()].kind else { return };
        let added = self.list(&attrs);
        let mut all = self.attributes.borrow_mut();
        // A page may do this with every tag.
        if old.end - old.start >= MOST_ADDED {
            return;
        }
        let start = place(all.len());
        all.extend_from_within(old.start as usize..old.end as usize);
        all.extend_from_within(added.start as usize..added.end as usize);
        if let Kind::Element { attributes, .. } = &mut self.nodes.borrow_mut()[target.index()].kind {
            // What was there comes first, and the first of a name counts.
            *attributes = Span { start, end: place(all.len()) };
        }
    }

    fn remove_from_parent(&self, target: &NodeId) {
        let mut nodes = self.nodes.borrow_mut();
        let entry = &mut nodes[target.index()];
        let (parent, previous, next) = (entry.parent, entry.previous, entry.next);
        if parent == NONE {
            return;
        }
        (entry.parent, entry.previous, entry.next) = (NONE, NONE, NONE);
        match nodes.get_mut(previous as usize) {
            Some(neighbour) => neighbour.next = next,
            None => nodes[parent as usize].first = next,
        }
        match nodes.get_mut(next as usize) {
            Some(neighbour) => neighbour.previous = previous,
            None => nodes[parent as usize].last = previous,
        }
    }

    fn reparent_children(&self, node: &NodeId, new_parent: &NodeId) {
        let mut nodes = self.nodes.borrow_mut();
        let (first, last) = (nodes[node.index()].first, nodes[node.index()].last);
        if first == NONE {
            return;
        }
        (nodes[node.index()].first, nodes[node.index()].last) = (NONE, NONE);
        let mut child = first;
        while let Some(entry) = nodes.get_mut(child as usize) {
            entry.parent = new_parent.0;
            child = entry.next;
        }
        let end = nodes[new_parent.index()].last;
        nodes[first as usize].previous = end;
        match nodes.get_mut(end as usize) {
            Some(neighbour) => neighbour.next = first,
            None => nodes[new_parent.index()].first = first,
        }
        nodes[new_parent.index()].last = last;
    }
}

use html5ever::local_name;

use super::{Dom, NodeId, Step};

/// The tree as `name(child child)`, texts in quotes.
fn shape(page: &str) -> String {
    let dom = Dom::parse(page);
    let mut out = String::new();
    for step in dom.walk(dom.root()) {
        match step {
            Step::Enter(id) => match (dom.name(id), dom.text(id)) {
                (Some(name), _) => {
                    out.push_str(name);
                    for (name, value) in dom.attrs(id) {
                        out.push_str(&format!("[{name}={value}]"));
                    }
                    out.push('(');
                }
                (None, Some(text)) => out.push_str(&format!("'{text}'")),
                (None, None) => {}
            },
            Step::Leave(id) => out.push_str(if dom.name(id).is_some() { ")" } else { "" }),
        }
    }
    out
}

fn check(page: &str, body: &str) {
    assert_eq!(shape(page), format!("html(head()body({body}))"), "{page}");
}

#[test]
fn a_page_becomes_a_tree() {
    check("<p class=a ID='b' hidden>x<b>y</b>z", "p[class=a][id=b][hidden=]('x'b('y')'z')");
    check("<p>one<p>two", "p('one')p('two')");
    check("<ul><li>a<li>b</ul>", "ul(li('a')li('b'))");
    check("<p>&amp;&eacute;&#x41;", "p('&éA')");
    check("a<!-- secret -->b<?php c ?>d", "'abd'");
    check("<table>x<tr><td>y</table>", "'x'table(tbody(tr(td('y'))))");
    check("<b><p>x</b>y</p>", "b()p(b('x')'y')");
    check("<p><script>if (a < b) { '<p>' }</script><p>t", "p(script('if (a < b) { '<p>' }'))p('t')");
    check("a<template><p>x</p></template>", "'a'template(p('x'))");
    check("<svg><title>t</title></svg>", "svg(title('t'))");
}

#[test]
fn attributes_of_a_second_body_are_added_to_the_first() {
    assert_eq!(shape("<body class=a><body class=b lang=c>"), "html(head()body[class=a][class=b][lang=c]())");
    let dom = Dom::parse("<body class=a><body class=b lang=c>");
    let body = dom.descendants(dom.root()).find(|&id| dom.is(id, &local_name!("body"))).expect("a body");
    assert_eq!((dom.attr(body, "class"), dom.attr(body, "lang")), (Some("a"), Some("c")));
}

fn depth(dom: &Dom, id: NodeId) -> usize {
    dom.ancestors(id).count()
}

#[test]
fn what_is_nested_too_deeply_keeps_its_text() {
    for name in ["div", "b", "span", "table><tr><td", "ul><li", "svg><g", "p><font"] {
        let page =
            format!("{}deep{}<p>after", format!("<{name}>").repeat(30_000), format!("</{name}>").repeat(100_000));
        let dom = Dom::parse(&page);
        let texts: String = dom.text_content(dom.root());
        assert!(texts.contains("deep") && texts.contains("after"), "{name}");
        let deepest = dom.descendants(dom.root()).map(|id| depth(&dom, id)).max();
        assert!(deepest < Some(600), "{name}: {deepest:?}");
    }
}

#[test]
fn formatting_that_is_never_closed_is_not_repeated_without_end() {
    let page: String = (0..50_000).map(|i| format!("<p><font size={i}>x")).collect();
    let dom = Dom::parse(&page);
    assert!(dom.len() <= page.len() + 2048, "{} nodes of {} bytes", dom.len(), page.len());
}

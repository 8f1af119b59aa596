//! Formulas, as the TeX that pages carry beside what they show.

use html5ever::local_name;

use crate::html::dom::{Dom, NodeId};

/// The TeX of a `math` element, where it has any.
pub(super) fn of_element(dom: &Dom, id: NodeId) -> Option<String> {
    let annotated = || {
        let is_tex = |&node: &NodeId| {
            dom.name(node).is_some_and(|name| &**name == "annotation")
                && dom
                    .attr(node, "encoding")
                    .is_some_and(|encoding| encoding.contains("tex") || encoding.contains("TeX"))
        };
        dom.descendants(id).find(is_tex).map(|node| dom.text_content(node))
    };
    let tex = annotated().or_else(|| dom.attr(id, "alttext").map(str::to_owned))?;
    let is_display = dom.attr(id, "display") == Some("block")
        || dom
            .ancestors(id)
            .take(3)
            .any(|outer| dom.attr(outer, "class").is_some_and(|class| class.contains("katex-display")));
    written(&tex, is_display)
}

/// The TeX of an image of a formula, as Wikipedia has them.
pub(super) fn of_image(dom: &Dom, id: NodeId) -> Option<String> {
    let class = dom.attr(id, "class").filter(|class| class.contains("mwe-math") || class.contains("latex"))?;
    written(dom.attr(id, "alt")?, class.contains("display"))
}

/// The TeX of a script that MathJax would show.
pub(super) fn of_script(dom: &Dom, id: NodeId) -> Option<String> {
    if !dom.is(id, &local_name!("script")) {
        return None;
    }
    let kind = dom.attr(id, "type").filter(|kind| kind.starts_with("math/tex"))?;
    written(&dom.text_content(id), kind.contains("mode=display"))
}

fn written(tex: &str, is_display: bool) -> Option<String> {
    let tex = tex.split_whitespace().collect::<Vec<_>>().join(" ");
    let tex = tex.strip_prefix("{\\displaystyle ").and_then(|rest| rest.strip_suffix('}')).unwrap_or(&tex).trim();
    let sign = if is_display { "$$" } else { "$" };
    (!tex.is_empty()).then(|| format!("{sign}{tex}{sign}"))
}

//! Code: in which language a block is, what of it is code, and how it is fenced.

use html5ever::local_name;

use crate::html::content::Content;
use crate::html::dom::{Dom, NodeId, Step};

/// Classes of what is beside the code: line numbers and buttons.
const GUTTER: [&str; 14] = [
    "lineno",
    "linenos",
    "linenodiv",
    "line-number",
    "line-numbers-rows",
    "linenumber",
    "line-numbers-wrapper",
    "gutter",
    "hljs-ln-numbers",
    "lnt",
    "ln",
    "blob-num",
    "react-syntax-highlighter-line-number",
    "rouge-gutter",
];

/// What stands before the name of the language in a class.
const PREFIXES: [&str; 7] =
    ["language-", "lang-", "highlight-source-", "highlight-text-", "highlight-", "src-", "brush:"];

/// The code of a `pre`, and everything in it, with its lines as they are.
pub(super) fn block(dom: &Dom, content: &Content, pre: NodeId) -> String {
    let mut out = String::new();
    let mut line_ended = false;
    let mut step = Some(Step::Enter(pre));
    while let Some(now) = step {
        let (Step::Enter(id) | Step::Leave(id)) = now;
        let entered = matches!(now, Step::Enter(_));
        let left_out = id != pre && (content.is_dropped(id) || is_gutter(dom, id));
        if let (Some(text), true) = (dom.text(id), entered) {
            if line_ended && !out.is_empty() && !out.ends_with('\n') && !text.starts_with('\n') {
                out.push('\n');
            }
            line_ended = false;
            out.push_str(text);
        } else if dom.is(id, &local_name!("br")) && entered {
            out.push('\n');
        } else if is_line(dom, id) && id != pre && !left_out {
            line_ended = true;
        }
        step = dom.step_after(now, pre, !left_out);
    }
    let out = out.replace("\r\n", "\n").replace(['\u{a0}', '\u{200b}', '\u{feff}', '\r'], " ");
    // The first line may be indented, but empty lines around the code are none of it.
    let begin = out.find(|c: char| !c.is_whitespace()).map_or(0, |at| out[..at].rfind('\n').map_or(0, |at| at + 1));
    out[begin..].trim_end().to_owned()
}

/// A block of code between fences that nothing in it ends.
pub(super) fn fenced(code: &str, language: &str) -> String {
    let fence = "`".repeat((longest_run(code) + 1).max(3));
    format!("{fence}{language}\n{code}\n{fence}")
}

/// Code within a line, between as many backticks as it takes; bars are escaped in the cell of a table.
pub(super) fn span(code: &str, cell: bool) -> String {
    let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
    if code.is_empty() {
        return code;
    }
    let code = if cell { code.replace('|', "\\|") } else { code };
    let ticks = "`".repeat(shortest_absent_run(&code));
    let space = if code.starts_with('`') || code.ends_with('`') { " " } else { "" };
    format!("{ticks}{space}{code}{space}{ticks}")
}

/// The language that a `pre`, what is in it or what is around it names.
pub(super) fn language(dom: &Dom, pre: NodeId) -> String {
    let inner = dom.children(pre).find(|&child| dom.is(child, &local_name!("code")));
    let around = dom.ancestors(pre).take(3).filter(|&outer| dom.children(outer).nth(8).is_none());
    let places = inner.into_iter().chain([pre]).chain(around);
    places.filter_map(|id| named(dom, id)).next().unwrap_or_default()
}

/// Whether it is beside the code.
pub(super) fn is_gutter(dom: &Dom, id: NodeId) -> bool {
    dom.is(id, &local_name!("button"))
        || dom.attr(id, "class").is_some_and(|class| class.split_ascii_whitespace().any(|c| GUTTER.contains(&c)))
}

fn named(dom: &Dom, id: NodeId) -> Option<String> {
    let said = ["data-lang", "data-language"].into_iter().find_map(|name| dom.attr(id, name));
    let class = dom.attr(id, "class").unwrap_or_default();
    let classes = || class.split_ascii_whitespace();
    let prefixed = || {
        classes()
            .find_map(|c| PREFIXES.iter().find_map(|prefix| c.strip_prefix(prefix).filter(|name| !name.is_empty())))
    };
    // `hljs rust`, `sourceCode rust`, `brush: rust;`
    let is_marker = |c: &&str| matches!(*c, "hljs" | "sourceCode" | "brush:" | "prettyprint");
    let is_option = |c: &&str| matches!(*c, "numberLines" | "linenums");
    let marked = || classes().find(is_marker).and_then(|_| classes().find(|c| !is_marker(c) && !is_option(c)));
    let name = said.or_else(prefixed).or_else(marked)?.trim_end_matches(';').to_ascii_lowercase();
    let sound = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'#' | b'-' | b'_' | b'.'));
    let says = !matches!(
        name.as_str(),
        "" | "none"
            | "text"
            | "txt"
            | "plain"
            | "plaintext"
            | "default"
            | "auto"
            | "undefined"
            | "nohighlight"
            | "notranslate"
    );
    (sound && says && name.len() <= 24).then_some(name)
}

fn is_line(dom: &Dom, id: NodeId) -> bool {
    dom.name(id).is_some_and(|name| {
        matches!(*name, local_name!("div") | local_name!("li") | local_name!("tr") | local_name!("p"))
    })
}

fn runs(code: &str) -> impl Iterator<Item = usize> {
    code.split(|c| c != '`').map(str::len).filter(|run| *run > 0)
}

fn longest_run(code: &str) -> usize {
    runs(code).max().unwrap_or(0)
}

fn shortest_absent_run(code: &str) -> usize {
    let mut seen: Vec<usize> = runs(code).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.iter().enumerate().find(|(at, run)| **run != at + 1).map_or(seen.len() + 1, |(at, _)| at + 1)
}

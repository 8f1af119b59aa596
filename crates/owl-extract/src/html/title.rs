//! The title of a page.

use html5ever::local_name;

use super::dom::Dom;

/// The title, on one line.
pub(crate) fn title(dom: &Dom) -> Option<String> {
    let mut named = None;
    let mut shown = None;
    for id in dom.descendants(dom.root()) {
        let Some(name) = dom.name(id) else { continue };
        match *name {
            local_name!("meta") => {
                let property = dom.attr(id, "property").or_else(|| dom.attr(id, "name"));
                if property == Some("og:title") && named.is_none() {
                    named = dom.attr(id, "content").map(one_line);
                }
            }
            local_name!("title") if dom.is_html(id) && shown.is_none() => shown = Some(one_line(&dom.text_content(id))),
            _ => {}
        }
    }
    named.or(shown).filter(|title| !title.is_empty())
}

/// A text with every run of spaces and line ends as one space.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

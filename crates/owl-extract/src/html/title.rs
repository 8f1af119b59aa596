//! The title of a page.

use html5ever::local_name;

use super::dom::Dom;

/// Longer titles, in characters, are cut.
const LONGEST: usize = 400;

/// The title, on one line: what the page gives to others (`og:title`), else its headline where its `title` repeats that
/// together with the name of the site, else its `title`.
pub(crate) fn title(dom: &Dom) -> Option<String> {
    let (mut given, mut shown) = (None, None);
    let mut headlines = Vec::new();
    for id in dom.descendants(dom.root()) {
        let Some(name) = dom.name(id) else { continue };
        match *name {
            local_name!("meta") if given.is_none() => {
                let property = dom.attr(id, "property").or_else(|| dom.attr(id, "name"));
                given = dom.attr(id, "content").filter(|_| property == Some("og:title")).and_then(one_line);
            }
            local_name!("title") if dom.is_html(id) && shown.is_none() => shown = one_line(&dom.text_content(id)),
            local_name!("h1") if headlines.len() < 2 => headlines.extend(one_line(&dom.text_content(id))),
            _ => {}
        }
    }
    let headline = headlines.pop().filter(|_| headlines.is_empty());
    let repeats =
        |headline: &String| shown.as_ref().is_none_or(|shown| headline.len() > 8 && shown.contains(headline.as_str()));
    given.or_else(|| headline.filter(repeats)).or(shown)
}

/// A text with every run of spaces and line ends as one space; `None` if there is nothing else.
pub(crate) fn one_line(text: &str) -> Option<String> {
    // However long it is, no more than this can be needed.
    let start = super::beginning(text, 16 * LONGEST);
    let line = start.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.char_indices().nth(LONGEST).map_or(line.as_str(), |(end, _)| &line[..end]);
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Dom, title};

    #[test]
    fn a_page_has_a_title() {
        for (page, expect) in [
            ("<title>A page\n of  mine</title>", Some("A page of mine")),
            ("<title>The owls of Rome - Daily</title><h1>The owls of Rome</h1>", Some("The owls of Rome")),
            ("<title>About</title><h1>We are the owls</h1>", Some("About")),
            ("<h1>We are the <b>owls</b></h1>", Some("We are the owls")),
            ("<meta property=og:title content='Given'><title>Other</title>", Some("Given")),
            ("<meta property=og:title content=''><title>Other</title>", Some("Other")),
            ("<h1>One of two</h1><h1>Two of two</h1>", None),
            ("<svg><title>Icon</title></svg>", None),
            ("<p>x", None),
        ] {
            assert_eq!(title(&Dom::parse(page)).as_deref(), expect, "{page}");
        }
    }
}

//! Where links and images lead, absolute.

use html5ever::local_name;
use url::Url;

use crate::html::dom::{Dom, NodeId};

/// A longer base is not put before relative addresses: it would be repeated in each.
const LONGEST_BASE: usize = 2000;

/// Resolves the addresses of a page.
#[derive(Debug)]
pub(super) struct Addresses {
    base: Option<Url>,
    /// How much longer all of them may become than they are in the page.
    budget: usize,
}

impl Addresses {
    pub(super) fn new(dom: &Dom, page: &str, budget: usize) -> Self {
        let page = Url::parse(page).ok();
        let element =
            dom.descendants(dom.root()).find(|&id| dom.is(id, &local_name!("base")) && dom.attr(id, "href").is_some());
        let named = element.and_then(|id| dom.attr(id, "href"));
        let base = named.and_then(|href| match &page {
            Some(page) => page.join(href.trim()).ok(),
            None => Url::parse(href.trim()).ok(),
        });
        let base = base.filter(|url| matches!(url.scheme(), "http" | "https")).or(page);
        Self { base: base.filter(|url| url.as_str().len() <= LONGEST_BASE), budget }
    }

    /// The address of a link: nothing that runs a program or holds its own content.
    pub(super) fn link(&mut self, href: &str) -> Option<String> {
        let href = href.trim();
        if href.is_empty() || href == "#" {
            return None;
        }
        let url = self.resolve(href)?;
        matches!(url.scheme(), "http" | "https" | "ftp" | "mailto" | "tel").then(|| url.into())
    }

    /// The address of a picture or a video: on the web.
    pub(super) fn source(&mut self, src: &str) -> Option<String> {
        let src = src.trim();
        if src.is_empty() || src.starts_with("data:") {
            return None;
        }
        let url = self.resolve(src)?;
        matches!(url.scheme(), "http" | "https").then(|| url.into())
    }

    fn resolve(&mut self, address: &str) -> Option<Url> {
        let url = match &self.base {
            Some(base) => base.join(address).ok()?,
            None => Url::parse(address).ok()?,
        };
        let growth = url.as_str().len().saturating_sub(address.len());
        if growth > self.budget {
            return None;
        }
        self.budget -= growth;
        Some(url)
    }
}

/// The source of an image: scripts put it into place later on many pages.
pub(super) fn image(dom: &Dom, id: NodeId, addresses: &mut Addresses) -> Option<String> {
    const LAZY: [&str; 6] =
        ["data-src", "data-original", "data-lazy-src", "data-lazy", "data-actualsrc", "data-hi-res-src"];
    const SETS: [&str; 3] = ["data-srcset", "data-lazy-srcset", "srcset"];
    let src = dom.attr(id, "src").filter(|src| !is_placeholder(src));
    let lazy = || LAZY.iter().find_map(|name| dom.attr(id, name)).filter(|src| !src.trim().is_empty());
    let of_set = |id| SETS.iter().find_map(|name| dom.attr(id, name)).and_then(first_of_set);
    let picture = || {
        let picture = dom.parent(id).filter(|&parent| dom.is(parent, &local_name!("picture")))?;
        dom.children(picture).take(16).find_map(of_set)
    };
    let found = lazy().or(src).or_else(|| of_set(id)).or_else(picture)?;
    addresses.source(found)
}

fn first_of_set(set: &str) -> Option<&str> {
    set.split([' ', '\t', '\n', ',']).find(|part| !part.is_empty() && !part.starts_with("data:"))
}

fn is_placeholder(src: &str) -> bool {
    let src = src.trim();
    let name = src.rsplit('/').next().unwrap_or_default();
    src.is_empty()
        || src.starts_with("data:")
        || matches!(
            name,
            "blank.gif" | "spacer.gif" | "pixel.gif" | "lazy.gif" | "placeholder.gif" | "transparent.gif" | "1x1.gif"
        )
}

/// The address of a video's own page, where a player in a frame is known to have one.
pub(super) fn watched(address: String) -> String {
    for prefix in ["https://www.youtube.com/embed/", "https://www.youtube-nocookie.com/embed/"] {
        if let Some(rest) = address.strip_prefix(prefix) {
            let name = rest.split(['?', '/', '#']).next().unwrap_or_default();
            return format!("https://www.youtube.com/watch?v={name}");
        }
    }
    address
}

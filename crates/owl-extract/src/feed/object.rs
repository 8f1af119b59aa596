//! JSON Feed (jsonfeed.org, versions 1 and 1.1).

use serde::Deserialize;

use super::{Content, Entry, Feed};

#[derive(Deserialize)]
struct JsonFeed {
    version: String,
    #[serde(default)]
    title: String,
    home_page_url: Option<String>,
    description: Option<String>,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    url: Option<String>,
    external_url: Option<String>,
    title: Option<String>,
    content_html: Option<String>,
    content_text: Option<String>,
    summary: Option<String>,
    date_published: Option<String>,
    date_modified: Option<String>,
    author: Option<Author>,
    #[serde(default)]
    authors: Vec<Author>,
    #[serde(default)]
    attachments: Vec<Attachment>,
}

#[derive(Deserialize)]
struct Author {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Attachment {
    url: String,
}

/// `None` when it is none.
pub(super) fn read(text: &str) -> Option<Feed> {
    let is_named = text.contains("://jsonfeed.org/version/") || text.contains(r":\/\/jsonfeed.org\/version\/");
    let feed: JsonFeed = is_named.then(|| serde_json::from_str(text).ok())??;
    if !feed.version.contains("//jsonfeed.org/version/") {
        return None;
    }
    Some(Feed {
        title: Content::plain(feed.title),
        link: feed.home_page_url.unwrap_or_default(),
        description: Content::plain(feed.description.unwrap_or_default()),
        entries: feed.items.into_iter().map(Entry::from).collect(),
    })
}

impl From<Item> for Entry {
    fn from(item: Item) -> Self {
        let authors: Vec<String> = item.authors.into_iter().chain(item.author).filter_map(|one| one.name).collect();
        let content = match (item.content_html, item.content_text) {
            (Some(html), _) => Content::html(html),
            (None, text) => Content::plain(text.unwrap_or_default()),
        };
        Self {
            title: Content::plain(item.title.unwrap_or_default()),
            link: item.url.or(item.external_url).unwrap_or_default(),
            enclosures: item.attachments.into_iter().map(|one| one.url).collect(),
            date: item.date_published.or(item.date_modified).unwrap_or_default(),
            author: authors.join(", "),
            summary: Content::plain(item.summary.unwrap_or_default()),
            content,
        }
    }
}

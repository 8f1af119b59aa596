//! Feeds, as a page that lists their entries: RSS 0.9 to 2.0, RSS 1.0 (RDF), Atom, JSON Feed.
//!
//! Reading order: this file (a feed, and how it is written), `markup` (RSS and Atom), `object` (JSON Feed).

mod markup;
mod object;

use url::Url;

use crate::document::{Document, Extractor, Link, Mode, Options};
use crate::html;
use crate::text::one_line;

/// How many entries are written: each may name an address that is longer than itself.
const MOST_ENTRIES: usize = 5_000;

/// A feed, whatever format it came in.
#[derive(Debug, Default)]
struct Feed {
    title: Content,
    link: String,
    description: Content,
    entries: Vec<Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    title: Content,
    link: String,
    /// Files that belong to it: an episode, a picture.
    enclosures: Vec<String>,
    date: String,
    author: String,
    summary: Content,
    content: Content,
}

/// A text of a feed.
#[derive(Debug, Default)]
struct Content {
    text: String,
    is_html: bool,
}

/// Reads RSS or Atom; `None` when it is other XML.
pub(crate) fn xml(text: &str, url: &str, options: &Options<'_>) -> Option<Document> {
    Some(write(&markup::read(text)?, url, options))
}

/// Reads a JSON Feed; `None` when it is other JSON.
pub(crate) fn json(text: &str, url: &str, options: &Options<'_>) -> Option<Document> {
    Some(write(&object::read(text)?, url, options))
}

impl Content {
    fn plain(text: String) -> Self {
        Self { text, is_html: false }
    }

    fn html(text: String) -> Self {
        Self { text, is_html: true }
    }

    fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    fn written(&self, writer: &Writer<'_>, mode: Mode) -> String {
        if self.is_html { html::fragment(&self.text, writer.url, mode) } else { self.text.trim().to_owned() }
    }

    fn line(&self, writer: &Writer<'_>) -> Option<String> {
        one_line(&self.written(writer, Mode::Text))
    }
}

struct Writer<'a> {
    url: &'a str,
    base: Option<Url>,
    mode: Mode,
    out: String,
    links: Vec<Link>,
}

fn write(feed: &Feed, url: &str, options: &Options<'_>) -> Document {
    let mut writer =
        Writer { url, base: Url::parse(url).ok(), mode: options.mode, out: String::new(), links: Vec::new() };
    let title = feed.title.line(&writer);
    if let Some(title) = &title {
        writer.heading(1, title, &feed.link);
    }
    let description = feed.description.written(&writer, options.mode);
    writer.paragraph(&description);
    for entry in feed.entries.iter().take(MOST_ENTRIES) {
        writer.entry(entry);
    }
    if let Some(more) = feed.entries.len().checked_sub(MOST_ENTRIES).filter(|more| *more > 0) {
        writer.paragraph(&format!("({more} more entries)"));
    }
    let Writer { mut out, mut links, .. } = writer;
    out.truncate(out.trim_end().len());
    if !options.links {
        links.clear();
    }
    let mut seen = std::collections::HashSet::new();
    links.retain(|link| seen.insert(link.url.clone()));
    Document { title, text: out, extractor: Extractor::Feed, media_type: String::new(), links }
}

impl Writer<'_> {
    fn entry(&mut self, entry: &Entry) {
        let title = entry.title.line(self).unwrap_or_else(|| "(no title)".to_owned());
        self.heading(2, &title, &entry.link);
        let about: Vec<String> = [&entry.date, &entry.author].into_iter().filter_map(|text| one_line(text)).collect();
        self.paragraph(&about.join(" · "));
        let content = if entry.content.is_empty() { &entry.summary } else { &entry.content };
        let content = content.written(self, self.mode);
        self.paragraph(&content);
        for enclosure in &entry.enclosures {
            if let Some(address) = self.address(enclosure) {
                self.paragraph(&format!("Enclosure: {address}"));
                self.links.push(Link { text: "Enclosure".to_owned(), url: address });
            }
        }
    }

    fn heading(&mut self, level: usize, title: &str, link: &str) {
        let address = self.address(link);
        let line = match (self.mode, &address) {
            (Mode::Markdown, Some(address)) => {
                let title = title.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]");
                format!("{} [{title}]({})", &"##"[..level], address.replace('(', "%28").replace(')', "%29"))
            }
            (Mode::Markdown, None) => format!("{} {title}", &"##"[..level]),
            (Mode::Text | Mode::Raw, Some(address)) => format!("{title}\n{address}"),
            (Mode::Text | Mode::Raw, None) => title.to_owned(),
        };
        self.paragraph(&line);
        if let Some(url) = address {
            self.links.push(Link { text: title.to_owned(), url });
        }
    }

    fn paragraph(&mut self, text: &str) {
        let text = text.trim();
        if !text.is_empty() {
            self.out.push_str(text);
            self.out.push_str("\n\n");
        }
    }

    /// Absolute, and of a kind that can be followed.
    fn address(&self, link: &str) -> Option<String> {
        let link = link.trim();
        let url = match &self.base {
            _ if link.is_empty() => return None,
            Some(base) => base.join(link).ok()?,
            None => Url::parse(link).ok()?,
        };
        matches!(url.scheme(), "http" | "https" | "mailto").then(|| url.into())
    }
}

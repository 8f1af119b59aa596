//! RSS and Atom. Elements are known by their local names, and by their prefix where there are several of one name: feeds
//! declare the same prefixes, and what is not well formed is read as far as it goes.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::{Content, Entry, Feed};
use crate::sniff;
use crate::xml::reader;

/// `None` when the root is that of no feed.
pub(super) fn read(text: &str) -> Option<Feed> {
    let root = sniff::root_element(text.as_bytes())?;
    if !matches!(root, b"rss" | b"feed" | b"RDF") {
        return None;
    }
    let mut markup = Markup { is_atom: root == b"feed", feed: Feed::default(), entry: None };
    let mut reader = reader(text);
    // What comes before an error is kept.
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(tag) if markup.start(&tag, &mut reader).is_none() => break,
            Event::Empty(tag) => markup.link(&tag),
            Event::End(tag) if is_entry(tag.local_name().as_ref()) => markup.close(),
            Event::Eof => break,
            _ => {}
        }
    }
    markup.close();
    Some(markup.feed)
}

struct Markup {
    is_atom: bool,
    feed: Feed,
    /// The entry that is open.
    entry: Option<Entry>,
}

fn is_entry(name: &str) -> bool {
    matches!(name, "item" | "entry")
}

impl Markup {
    fn close(&mut self) {
        self.feed.entries.extend(self.entry.take());
    }

    /// Reads the element whose start was just read, up to its end; `None` when it has none.
    fn start(&mut self, tag: &BytesStart<'_>, reader: &mut Reader<&[u8]>) -> Option<()> {
        let name = tag.name();
        let (prefix, local) = name.as_ref().split_once(':').unwrap_or(("", name.as_ref()));
        match (prefix, local) {
            (_, "item" | "entry") => {
                self.close();
                self.entry = Some(Entry::default());
                return Some(());
            }
            (_, "rss" | "feed" | "RDF" | "channel" | "items") => return Some(()),
            ("media" | "itunes" | "media-rss", _) => return skip(tag, reader),
            // They have titles, links and descriptions of their own.
            (
                "" | "atom",
                "image" | "source" | "textinput" | "textInput" | "contributor" | "category" | "logo" | "icon",
            ) => {
                return skip(tag, reader);
            }
            _ => {}
        }
        self.link(tag);
        let inner = reader.read_text(name).ok()?;
        self.field(prefix, local, tag, &inner);
        Some(())
    }

    fn field(&mut self, prefix: &str, local: &str, tag: &BytesStart<'_>, inner: &str) {
        let value = || content(inner, self.is_atom, attribute(tag, "type").as_deref());
        let Some(entry) = &mut self.entry else {
            match (prefix, local) {
                ("" | "atom" | "dc", "title") => fill(&mut self.feed.title, value()),
                ("" | "atom" | "dc", "description" | "subtitle" | "tagline") => {
                    fill(&mut self.feed.description, value());
                }
                ("", "link") if !self.is_atom && self.feed.link.is_empty() => self.feed.link = value().text,
                _ => {}
            }
            return;
        };
        match (prefix, local) {
            ("" | "atom" | "dc", "title") => fill(&mut entry.title, value()),
            ("", "link") if !self.is_atom && entry.link.is_empty() => entry.link = value().text,
            ("", "guid") if entry.link.is_empty() && attribute(tag, "isPermaLink").as_deref() != Some("false") => {
                entry.link = value().text;
            }
            ("", "pubDate") | ("" | "atom", "published" | "issued") => entry.date = value().text,
            ("dc" | "dcterms", "date" | "created" | "issued") | ("" | "atom", "updated" | "modified")
                if entry.date.is_empty() =>
            {
                entry.date = value().text;
            }
            ("dc", "creator") => join(&mut entry.author, &value().text),
            ("" | "atom", "author") => join(&mut entry.author, &author(inner)),
            ("" | "atom", "summary" | "description") => fill(&mut entry.summary, value()),
            ("" | "atom", "content") | ("content", "encoded") | ("xhtml", "body" | "div") => {
                fill(&mut entry.content, value());
            }
            _ => {}
        }
    }

    /// `<link href="…">` and `<enclosure url="…">`.
    fn link(&mut self, tag: &BytesStart<'_>) {
        let name = tag.name();
        let (prefix, local) = name.as_ref().split_once(':').unwrap_or(("", name.as_ref()));
        if !matches!(prefix, "" | "atom") {
            return;
        }
        let address = match local {
            "link" => attribute(tag, "href"),
            "enclosure" => attribute(tag, "url"),
            _ => None,
        };
        let Some(address) = address else { return };
        let relation = attribute(tag, "rel");
        let relation = if local == "enclosure" { "enclosure" } else { relation.as_deref().unwrap_or("alternate") };
        match (relation, &mut self.entry) {
            ("alternate", Some(entry)) if entry.link.is_empty() => entry.link = address,
            ("alternate", None) if self.feed.link.is_empty() => self.feed.link = address,
            ("enclosure", Some(entry)) => entry.enclosures.push(address),
            _ => {}
        }
    }
}

fn skip(tag: &BytesStart<'_>, reader: &mut Reader<&[u8]>) -> Option<()> {
    reader.read_to_end(tag.name()).ok().map(|_| ())
}

/// The first of several wins: others of the same name are about something else.
fn fill(field: &mut Content, value: Content) {
    if field.is_empty() {
        *field = value;
    }
}

fn join(names: &mut String, name: &str) {
    if !name.trim().is_empty() {
        if !names.is_empty() {
            names.push_str(", ");
        }
        names.push_str(name.trim());
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().with_checks(false).filter_map(Result::ok).find(|one| one.key.as_ref() == name)?;
    Some(unescaped(&found.value))
}

/// The value of an element: its text, or its markup where it holds any.
fn content(inner: &str, is_atom: bool, declared: Option<&str>) -> Content {
    if declared == Some("xhtml") || declared == Some("application/xhtml+xml") {
        return Content::html(inner.to_owned());
    }
    let Some(text) = text_of(inner) else { return Content::html(inner.to_owned()) };
    match declared {
        Some("text" | "text/plain") => Content::plain(text),
        None if is_atom => Content::plain(text),
        _ => Content { is_html: is_html(&text), text },
    }
}

/// Whether a text of which nobody says that it is HTML must be: it has a tag, or a character reference.
fn is_html(text: &str) -> bool {
    let begins = |mark: char, next: fn(u8) -> bool| {
        text.match_indices(mark).any(|(at, _)| text.as_bytes().get(at + 1).copied().is_some_and(next))
    };
    begins('<', |b| b.is_ascii_alphabetic() || b == b'/' || b == b'!')
        || (text.contains(';') && begins('&', |b| b.is_ascii_alphabetic() || b == b'#'))
}

/// The text of what has no elements in it; `None` when it has.
fn text_of(inner: &str) -> Option<String> {
    let mut reader = reader(inner);
    let mut out = String::new();
    loop {
        match reader.read_event() {
            Ok(Event::Text(text)) => out.push_str(&text),
            Ok(Event::CData(text)) => out.push_str(&text),
            Ok(Event::GeneralRef(name)) => out.push_str(&resolved(&name)),
            Ok(Event::Start(_) | Event::Empty(_)) => return None,
            Ok(Event::Eof) | Err(_) => return Some(out.trim().to_owned()),
            Ok(_) => {}
        }
    }
}

/// A character for its reference. What a document declares itself is not expanded, so HTML's names are left to HTML.
fn resolved(name: &BytesRef<'_>) -> String {
    match name.resolve_char_ref() {
        Ok(Some(c)) => c.to_string(),
        _ => resolve_predefined_entity(name).map_or_else(|| format!("&{};", &**name), str::to_owned),
    }
}

fn unescaped(text: &str) -> String {
    text_of(text).unwrap_or_else(|| text.to_owned())
}

/// The name in `<author><name>…`, or the whole text, less an address in front of a name in parentheses.
fn author(inner: &str) -> String {
    if let Some(text) = text_of(inner) {
        let name = text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(name, _)| name.trim());
        return name.filter(|name| !name.is_empty()).map_or(text.clone(), str::to_owned);
    }
    let mut reader = reader(inner);
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(tag) if tag.local_name().as_ref() == "name" => {
                return reader.read_text(tag.name()).ok().and_then(|name| text_of(&name)).unwrap_or_default();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    String::new()
}

//! Which parts of a text cite a page that a tool found or read: Markdown links to it, and its bare URL.

use std::collections::HashMap;

use crate::answer::{Citation, WebSource};

/// How far behind its URL a link may end, in characters.
const LONGEST_TITLE: usize = 300;

/// The citations in a text, in order. Only what is among `sources` is one: a URL of the model's own making is not.
pub fn find(text: &str, sources: &[WebSource]) -> Vec<Citation> {
    let mut known: HashMap<&str, &WebSource> = HashMap::new();
    for source in sources {
        let entry = known.entry(bare(&source.url)).or_insert(source);
        if entry.title.is_empty() {
            *entry = source;
        }
    }
    let mut found = Vec::new();
    if known.is_empty() {
        return found;
    }
    let mut counted = Counted { text, bytes: 0, characters: 0 };
    let mut from = 0;
    while let Some(at) = text[from..].find("http").map(|at| from + at) {
        let url = url_at(&text[at..]);
        let Some(source) = known.get(bare(url)) else {
            from = at + "http".len();
            continue;
        };
        let end = at + url.len();
        let link = link_around(text, from, at, end);
        let (start, end) = link.unwrap_or((at, end));
        let source = WebSource { url: url.to_owned(), title: source.title.clone() };
        found.push(Citation { start: counted.to(start), end: counted.to(end), source });
        from = end;
    }
    found
}

/// Counts characters, forwards only.
struct Counted<'a> {
    text: &'a str,
    bytes: usize,
    characters: usize,
}

impl Counted<'_> {
    fn to(&mut self, at: usize) -> usize {
        self.characters += self.text[self.bytes..at].chars().count();
        self.bytes = at;
        self.characters
    }
}

/// A URL without what does not tell pages apart.
fn bare(url: &str) -> &str {
    let url = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url);
    let url = url.split('#').next().unwrap_or(url);
    url.strip_suffix('/').unwrap_or(url)
}

/// The URL at the beginning of a text, without the punctuation that follows it.
fn url_at(text: &str) -> &str {
    let ends = |letter: char| letter.is_whitespace() || letter.is_control() || "<>\"`|\\^{}[]".contains(letter);
    let url = &text[..text.find(ends).unwrap_or(text.len())];
    let mut depth = 0_usize;
    let mut end = url.len();
    for (at, letter) in url.char_indices() {
        match letter {
            '(' => depth += 1,
            // A bracket that was not opened in the URL closes one around it.
            ')' if depth == 0 => {
                end = at;
                break;
            }
            ')' => depth -= 1,
            _ => {}
        }
    }
    url[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~'])
}

/// The Markdown link `[…](URL)` around a URL, if it stands in one that begins behind `from`.
fn link_around(text: &str, from: usize, start: usize, end: usize) -> Option<(usize, usize)> {
    let before = text[from..start].strip_suffix('<').unwrap_or(&text[from..start]).strip_suffix("](")?;
    let opened = before.rfind('[')?;
    // A title may stand behind the URL, on the same line.
    let behind = text[end..].char_indices().take(LONGEST_TITLE).take_while(|(_, letter)| *letter != '\n');
    let (closed, _) = behind.into_iter().find(|(_, letter)| *letter == ')')?;
    Some((from + opened, end + closed + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_bare_urls() {
        let source = |url: &str, title: &str| WebSource { url: url.to_owned(), title: title.to_owned() };
        let sources = [
            source("https://a.example/x", "A"),
            source("https://b.example/", "B"),
            source("https://c.example/w_(d)", "C"),
        ];
        let check = |text: &str, expect: &[(&str, &str)]| {
            let letters: Vec<char> = text.chars().collect();
            let seen: Vec<(String, String)> = find(text, &sources)
                .into_iter()
                .map(|one| (letters[one.start..one.end].iter().collect(), one.source.title))
                .collect();
            let expect: Vec<(String, String)> =
                expect.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            assert_eq!(seen, expect, "{text}");
        };
        check("Ünï [A](https://a.example/x) ends", &[("[A](https://a.example/x)", "A")]);
        check(
            "see https://a.example/x, and (http://b.example)",
            &[("https://a.example/x", "A"), ("http://b.example", "B")],
        );
        check("[t](<https://a.example/x> \"T\").", &[("[t](<https://a.example/x> \"T\")", "A")]);
        check(
            "https://c.example/w_(d). [c](https://c.example/w_(d))",
            &[("https://c.example/w_(d)", "C"), ("[c](https://c.example/w_(d))", "C")],
        );
        check("https://a.example/xy https://evil.example/ http", &[]);
        check("https://a.example/x#part", &[("https://a.example/x#part", "A")]);
        assert_eq!(find("https://a.example/x", &[]), []);
    }

    #[test]
    fn many_brackets_take_no_longer() {
        let sources = [WebSource { url: "https://a.example/x".to_owned(), title: String::new() }];
        let text = "[](https://a.example/x".repeat(20_000);
        assert_eq!(find(&text, &sources).len(), 20_000);
        assert_eq!(find(&"[http".repeat(50_000), &sources), []);
    }
}

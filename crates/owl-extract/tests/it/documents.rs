//! Documents of every type, as they are read. The snapshots are for reading.

use owl_extract::{Document, ExtractError, Extractor, Mode, Options, Source, extract};

fn read(bytes: &[u8], content_type: &str, mode: Mode) -> Document {
    let source = Source { bytes, content_type: Some(content_type), url: "https://example.com/folder/document" };
    extract(source, &Options { mode, links: true, ..Options::default() }).expect("it can be read")
}

/// What a reader is given: the head of the document, then its text.
fn shown(document: &Document) -> String {
    let Document { title, text, extractor, media_type, links } = document;
    let links: String = links.iter().map(|link| format!("link: {} -> {}\n", link.text, link.url)).collect();
    format!("{media_type}, {}, title: {}\n{links}\n{text}\n", extractor.as_str(), title.as_deref().unwrap_or("none"))
}

macro_rules! check {
    ($name:literal, $file:literal, $content_type:literal, $mode:expr) => {
        let document = read(include_bytes!(concat!("../documents/", $file)), $content_type, $mode);
        insta::assert_snapshot!($name, shown(&document));
    };
}

#[test]
fn feeds() {
    check!("rss", "rss.xml", "application/rss+xml; charset=utf-8", Mode::Markdown);
    check!("rss_text", "rss.xml", "text/html", Mode::Text);
    check!("atom", "atom.xml", "application/atom+xml", Mode::Markdown);
    check!("rdf", "rdf.xml", "text/xml", Mode::Markdown);
    check!("json_feed", "feed.json", "application/feed+json", Mode::Markdown);
}

#[test]
fn tables() {
    check!("csv", "prices.csv", "text/csv", Mode::Markdown);
    let document = read(b"a\tb\n1\t2,3\n", "text/tab-separated-values", Mode::Markdown);
    insta::assert_snapshot!(shown(&document), @r"
    text/tab-separated-values, csv, title: none

    | a | b |
    | --- | --- |
    | 1 | 2,3 |
    ");
}

#[test]
fn texts() {
    check!("llms", "llms.txt", "text/plain", Mode::Markdown);
    let check = |text: &str, content_type: &str, extractor: Extractor, expected: &str| {
        let document = read(text.as_bytes(), content_type, Mode::Markdown);
        assert_eq!((document.extractor, &*document.text), (extractor, expected));
    };
    check("# a\n\n*b*\n", "text/markdown", Extractor::Markdown, "# a\n\n*b*\n");
    check("fn main() {}\n", "text/x-rust", Extractor::Text, "fn main() {}\n");
    check("a: 1\n", "application/yaml", Extractor::Text, "a: 1\n");
    check("{\"a\":1}\n{\"a\":2}\n", "application/x-ndjson", Extractor::Text, "{\"a\":1}\n{\"a\":2}\n");
    check("data: 1\n\n", "text/event-stream", Extractor::Text, "data: 1\n\n");
    check("{\"a\":1.0}", "application/json", Extractor::Json, "{\n  \"a\": 1.0\n}");
    check("{\"a\":", "application/json", Extractor::Text, "{\"a\":");
    check("<a><b>1</b></a>", "application/xml", Extractor::Xml, "<a>\n  <b>1</b>\n</a>");
    check("<a", "application/xml", Extractor::Text, "<a");
    check("", "text/plain", Extractor::Text, "");
}

#[test]
fn raw_is_the_text_as_it_came() {
    let check = |text: &str, content_type: &str| {
        let document = read(text.as_bytes(), content_type, Mode::Raw);
        assert_eq!((document.extractor, &*document.text), (Extractor::Raw, text));
    };
    check("{\"a\":1}", "application/json");
    check("<p>hello", "text/html");
    check("<rss><channel/></rss>", "application/rss+xml");
    check("a;b\n1;2", "text/csv");
}

#[test]
fn what_holds_no_text_is_named_with_its_size() {
    let check = |bytes: &[u8], content_type: &str, expected: &str| {
        let source = Source { bytes, content_type: Some(content_type), url: "https://example.com/" };
        let error = extract(source, &Options::default()).expect_err("refused");
        assert!(matches!(error, ExtractError::Unsupported { .. }));
        assert_eq!(error.to_string(), format!("this is {expected}, which holds no text that can be read here"));
    };
    check(b"\x89PNG\r\n\x1a\n\0\0", "text/html", "image/png (10 bytes)");
    check(
        b"PK\x03\x04\x14\0\0\0xl/workbook.xml",
        "application/octet-stream",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet (23 bytes)",
    );
    check(b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4", "video/mp4 (16 bytes)");
    check(b"\0\x01\x02\x03", "text/plain", "application/octet-stream (4 bytes)");
}

use super::{Found, Kind, find};
use crate::document::Source;

fn check(declared: &str, bytes: &[u8], url: &str, expected: (Kind, &str)) {
    let content_type = (!declared.is_empty()).then_some(declared);
    let Found { kind, media_type } = find(&Source { bytes, content_type, url });
    assert_eq!((kind, &*media_type), expected, "{declared:?} {url} {}", String::from_utf8_lossy(bytes));
}

#[test]
fn a_declared_type_holds_where_the_bytes_can_be_it() {
    let check = |declared: &str, text: &str, kind: Kind, media_type: &str| {
        check(declared, text.as_bytes(), "https://example.com/x", (kind, media_type));
    };
    check("text/html; charset=utf-8", "hello", Kind::Html, "text/html");
    check("Text/HTML", "<p>hello", Kind::Html, "text/html");
    check("text/plain", "<!doctype html><p>hello", Kind::Text, "text/plain");
    check("text/plain, text/html", "hello", Kind::Text, "text/plain");
    check("text/x-rust", "{ \"a\": 1 }", Kind::Text, "text/x-rust");
    check("application/x-yaml", "a: 1", Kind::Text, "application/x-yaml");
    check("text/event-stream", "data: 1\n\n", Kind::Text, "text/event-stream");
    check("application/x-ndjson", "{\"a\":1}\n{\"a\":2}\n", Kind::Text, "application/x-ndjson");
    check("text/markdown", "# hello", Kind::Markdown, "text/markdown");
    check("application/ld+json", "{}", Kind::Json, "application/ld+json");
    check("application/atom+xml", "<feed/>", Kind::Xml, "application/atom+xml");
    check("image/svg+xml", "<svg/>", Kind::Xml, "image/svg+xml");
    check("text/csv", "a,b", Kind::Csv, "text/csv");
    check("text/tab-separated-values", "a\tb", Kind::Tsv, "text/tab-separated-values");
}

#[test]
fn bytes_overrule_what_they_cannot_be() {
    let at = "https://example.com/x";
    check("text/html", b"%PDF-1.4\n%", at, (Kind::Pdf, "application/pdf"));
    check("text/html", b"<?xml version='1.0'?><rss><channel/></rss>", at, (Kind::Xml, "application/xml"));
    check("text/html", b" {\"a\": [1]}\n", at, (Kind::Json, "application/json"));
    check("text/html", b"{{ template }}", at, (Kind::Html, "text/html"));
    check("text/html", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", at, (Kind::Binary, "image/png"));
    check("text/html", b"<p>a stray \0 byte", at, (Kind::Html, "text/html"));
    check("text/plain", b"\x7fELF\x02\x01\x01\0", at, (Kind::Binary, "application/x-elf"));
    check("text/plain", b"\x01\x02\x03\x04\0", at, (Kind::Binary, "application/octet-stream"));
    check("text/plain", b"ID3 is a kind of tag; BZh begins a bzip2 file", at, (Kind::Text, "text/plain"));
    check("text/plain", b"BM", at, (Kind::Text, "text/plain"));
    check("text/plain", b"The header is %PDF-1.7", at, (Kind::Text, "text/plain"));
    check("text/plain", b"\x1b[1mbold\x1b[0m", at, (Kind::Text, "text/plain"));
    check(
        "text/plain",
        "\u{feff}h\0i".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>().as_slice(),
        at,
        (Kind::Text, "text/plain"),
    );
    check("application/xml", b"<!DOCTYPE html><html><p>hi</html>", at, (Kind::Html, "text/html"));
    check("application/pdf", b"<!DOCTYPE html><p>not found", at, (Kind::Html, "text/html"));
    check("image/png", b"<html>not found", at, (Kind::Html, "text/html"));
    check("video/x-secret", b"\0\x01\x02", at, (Kind::Binary, "video/x-secret"));
    check("video/x secret\x07", b"\0\x01\x02", at, (Kind::Binary, "application/octet-stream"));
}

#[test]
fn what_was_not_declared_is_found() {
    let check = |bytes: &[u8], url: &str, kind: Kind, media_type: &str| {
        for declared in ["", "application/octet-stream", "binary/octet-stream", "nonsense"] {
            check(declared, bytes, url, (kind, media_type));
        }
    };
    let at = "https://example.com/";
    check(b"\n <!DocType HTML>hello", at, Kind::Html, "text/html");
    check(b"<!-- a --><p>hello", at, Kind::Html, "text/html");
    check(b"<?xml version='1.0'?>\n<html xmlns='x'/>", at, Kind::Html, "text/html");
    check(b"<?xml version='1.0'?>\n<note/>", at, Kind::Xml, "application/xml");
    check(b"<feed xmlns='http://www.w3.org/2005/Atom'/>", at, Kind::Xml, "application/xml");
    check(b"\xef\xbb\xbf[{\"a\": 1}]", at, Kind::Json, "application/json");
    check(b"[draft] of a text]", at, Kind::Text, "text/plain");
    check(b"hello", at, Kind::Text, "text/plain");
    check(b"", at, Kind::Text, "text/plain");
    check(b"# hello", "https://example.com/a/README.md?raw=1#top", Kind::Markdown, "text/markdown");
    check(b"a,b\n1,2", "https://example.com/a.CSV", Kind::Csv, "text/csv");
    check(
        b"PK\x03\x04\x14\0\x06\0[Content_Types].xml word/document.xml",
        at,
        Kind::Binary,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    );
    check(b"PK\x03\x04\x14\0\x06\0a.txt", at, Kind::Binary, "application/zip");
    check(b"\0\0\0\x18ftypmp42\0\0\0\0", at, Kind::Binary, "video/mp4");
}

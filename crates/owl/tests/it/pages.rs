//! `owl fetch` on pages of every kind: the snapshots are there to be read, as a person would.

use std::path::Path;

use owl_testkit::web::{Answer, WebServer};

use crate::command::{Owl, run};

/// The pages that owl-extract keeps, and how a server hands them out.
const KEPT: &[(&str, &str)] = &[
    ("pages/news.html", "text/html; charset=utf-8"),
    ("pages/documentation.html", "text/html"),
    ("pages/forum.html", "text/html"),
    ("pages/wiki.html", "text/html; charset=UTF-8"),
    ("pages/product.html", "text/html"),
    ("pages/listing.html", "text/html"),
    ("pages/rfc.html", "text/html"),
    ("pages/hidden.html", "text/html"),
    ("pages/broken.html", "text/html"),
    ("pages/blog-russian.html", "text/html"),
    ("pages/news-chinese.html", "text/html; charset=gb2312"),
    ("pages/recipe-japanese.html", "text/html"),
    ("pages/notice-korean.html", "text/html"),
    ("documents/rss.xml", "application/rss+xml"),
    ("documents/atom.xml", "application/atom+xml"),
    ("documents/rdf.xml", "application/rdf+xml"),
    ("documents/feed.json", "application/feed+json"),
    ("documents/prices.csv", "text/csv"),
    ("documents/llms.txt", "text/plain; charset=utf-8"),
];

const MARKDOWN: &str = "# Owl boxes\n\nA box needs:\n\n- a hole of *seven* centimetres\n- a floor of sawdust\n";
const JSON: &str =
    r#"{"species":"Strix aluco","weight":420.50,"id":12345678901234567890,"young":[{"ringed":true},null]}"#;
const PDF: &str = "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n\
    2 0 obj\n<< /Type /Pages /Kids [3 0 R 5 0 R] /Count 2 /Resources << /Font << /F 7 0 R >> >> >>\nendobj\n\
    3 0 obj\n<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>\nendobj\n\
    4 0 obj\n<< /Length 80 >>\nstream\nBT /F 12 Tf 72 720 Td (The count of the owls) Tj 0 -30 Td (Forty were seen.) Tj ET\nendstream\nendobj\n\
    5 0 obj\n<< /Type /Page /Parent 2 0 R /Contents 6 0 R >>\nendobj\n\
    6 0 obj\n<< /Length 55 >>\nstream\nBT /F 12 Tf 72 720 Td (Most of them by night.) Tj ET   \nendstream\nendobj\n\
    7 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>\nendobj\n\
    trailer\n<< /Root 1 0 R >>\n%%EOF\n";
const GONE: &str = "<html><head><title>Not here</title></head><body><nav><a href=\"/\">Home</a></nav>\
    <main><h1>Not here</h1><p>This page has moved to another place.</p></main></body></html>";

/// The pages that are written here.
fn own() -> [(&'static str, Answer); 4] {
    [
        ("readme.md", Answer::ok(MARKDOWN).header("Content-Type", "text/markdown")),
        ("owl.json", Answer::ok(JSON).header("Content-Type", "application/json")),
        ("count.pdf", Answer::ok(PDF).header("Content-Type", "application/pdf")),
        ("gone", Answer::status(404).header("Content-Type", "text/html").body(GONE)),
    ]
}

#[test]
fn pages_of_every_kind_read_well() {
    run(async {
        let web = WebServer::start();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../owl-extract/tests");
        let mut names = Vec::new();
        for (path, content_type) in KEPT {
            let (_, name) = path.split_once('/').expect("a folder");
            let page = std::fs::read(folder.join(path)).expect("the page is there");
            web.on(&format!("/{name}"), Answer::ok(page).header("Content-Type", *content_type));
            names.push(name);
        }
        for (name, answer) in own() {
            web.on(&format!("/{name}"), answer);
            names.push(name);
        }
        for name in names {
            let url = format!("{}/{name}", web.origin());
            let open = "{ tools: { web: { fetch: { allowPrivateNetwork: true } } } }";
            let ended = Owl::new(&["fetch", &url]).configured(open).run("").await;
            let text = ended.stdout.replace(&web.origin(), "http://site.example");
            let told = ended.stderr.replace(&web.origin(), "http://site.example");
            let seen = if told.is_empty() { text } else { format!("{text}\nstandard error: {told}") };
            insta::assert_snapshot!(name, seen);
        }
    });
}

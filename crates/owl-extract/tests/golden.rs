//! Pages of every kind, written for the purpose, and what a reader gets of them: the snapshots are there to be read.

use owl_extract::{Mode, Options, Source, extract};

/// The page as Markdown, under a line that says what was found.
fn read(page: &str, content_type: Option<&str>) -> String {
    let path = format!("{}/tests/pages/{page}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).expect("the page is there");
    let source = Source { bytes: &bytes, content_type, url: "https://site.example/section/page.html" };
    let document = extract(source, &Options { mode: Mode::Markdown, ..Options::default() }).expect("a document");
    let title = document.title.unwrap_or_default();
    format!("title: {title}\nextractor: {}\n\n{}", document.extractor.as_str(), document.text)
}

macro_rules! golden {
    ($($name:ident $page:literal $content_type:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!($page, read($page, $content_type));
        }
    )*};
}

golden! {
    an_article "news.html" Some("text/html; charset=utf-8");
    documentation "documentation.html" Some("text/html");
    a_forum_thread "forum.html" Some("text/html");
    a_wiki_page_with_footnotes "wiki.html" Some("text/html; charset=UTF-8");
    a_product "product.html" Some("text/html");
    a_standard "rfc.html" Some("text/html");
    a_listing "listing.html" Some("text/html");
    a_blog_in_windows_1251 "blog-russian.html" Some("text/html");
    an_article_in_gbk "news-chinese.html" Some("text/html; charset=gb2312");
    a_recipe_in_shift_jis "recipe-japanese.html" None;
    a_notice_in_euc_kr_that_says_nothing_of_it "notice-korean.html" Some("text/html");
    hidden_text "hidden.html" Some("text/html");
    broken_html "broken.html" Some("text/html");
}

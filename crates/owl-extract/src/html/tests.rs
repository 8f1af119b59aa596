use super::read;
use crate::document::{ExtractError, Extractor, Mode, Options};

const TEXT: Options<'_> = Options { mode: Mode::Text, selector: None, links: false };

fn text(page: &str) -> (String, Extractor) {
    let document = read(page, "https://example.com/", &TEXT).expect("a document");
    (document.text, document.extractor)
}

/// A sentence that is told apart by its number.
fn sentence(number: usize) -> String {
    format!(
        "This is sentence number {number}, which is long enough to be read as a part of a text, and not as a label. "
    )
}

fn paragraphs(count: usize) -> String {
    (0..count).map(|number| format!("<p>{}</p>", sentence(number))).collect()
}

#[test]
fn an_article_is_found_among_what_surrounds_it() {
    let page = format!(
        "<title>Owls</title><nav><a href=/>Home</a> <a href=/b>Birds</a></nav><main><h1>Owls</h1><p class=byline>By Jane Doe, 2 May 2024</p>
        <article>{}<aside>Beside it.</aside><h2>Part two</h2><p>{}</p><ul><li>one<li>two</ul>
        <div class=share><a href=/s>Share</a></div><h3>Related articles</h3><ul><li><a href=/1>Other birds</a><li><a href=/2>Cats</a></ul></article>
        <section class=comments><p>{}</p></section></main><footer>Imprint</footer>",
        paragraphs(4),
        sentence(7),
        sentence(99)
    );
    let (text, extractor) = text(&page);
    let expect: Vec<String> = (0..4).map(|number| sentence(number).trim().to_owned()).collect();
    let expect = format!("{}\n\nPart two\n\n{}\n\n- one\n- two", expect.join("\n\n"), sentence(7).trim());
    assert_eq!((text, extractor), (expect, Extractor::Readable));
}

#[test]
fn an_article_in_sections_is_kept_whole() {
    let page = format!(
        "<div><div><section>{}</section></div><div><section><p>{}{}</section></div></div>",
        paragraphs(4),
        sentence(8),
        sentence(9)
    );
    let (text, _) = text(&page);
    assert!(text.contains("number 0") && text.contains("number 9"), "{text}");
}

#[test]
fn answers_are_content_where_there_is_nothing_else() {
    let posts: String = (0..5).map(|number| format!("<div class=comment><p>{}</p></div>", sentence(number))).collect();
    let (text, _) = text(&format!("<nav><a href=/>Home</a></nav><div class=comments>{posts}</div>"));
    for number in 0..5 {
        assert!(text.contains(&format!("number {number}")), "{text}");
    }
}

#[test]
fn a_page_of_many_small_parts_is_shown_whole() {
    let teasers: String = (0..9)
        .map(|number| format!("<article><h2><a href=/{number}>Minister {number} resigns</a></h2></article>"))
        .collect();
    let (text, extractor) =
        text(&format!("<nav><a href=/w>World</a></nav><h1>News</h1>{teasers}<footer>Imprint</footer>"));
    assert_eq!(extractor, Extractor::Page);
    assert!(text.starts_with("News\n\nMinister 0 resigns\n\nMinister 1 resigns") && !text.contains("World"), "{text}");
}

#[test]
fn what_is_hidden_is_never_shown() {
    let page = format!(
        "<article>{}<p style='display:none'>SECRET</p><div hidden><p>SECRET</p></div><!-- SECRET --><template>SECRET</template>
        <noscript>SECRET</noscript><script>SECRET</script><p aria-hidden=true>SECRET</p><svg><text>SECRET</text></svg></article>",
        paragraphs(4)
    );
    for selector in [None, Some("article"), Some("body")] {
        let document = read(&page, "https://example.com/", &Options { selector, ..TEXT }).expect("a document");
        assert!(document.text.contains("number 3") && !document.text.contains("SECRET"), "{}", document.text);
    }
    let hidden = read(&page, "https://example.com/", &Options { selector: Some("div[hidden]"), ..TEXT });
    assert_eq!(hidden, Err(ExtractError::NothingSelected));
}

#[test]
fn what_is_selected_is_shown_and_nothing_else() {
    let page = format!("<h1>T</h1><div id=a>{}</div><div id=b><nav>Menu</nav></div>", paragraphs(4));
    let select = |selector| read(&page, "https://example.com/", &Options { selector: Some(selector), ..TEXT });
    let document = select("h1, #b").expect("a document");
    assert_eq!((document.text.as_str(), document.extractor), ("T\n\nMenu", Extractor::Selector));
    assert_eq!(select("table"), Err(ExtractError::NothingSelected));
    assert!(matches!(select("h1["), Err(ExtractError::InvalidSelector(_))));
}

/// None of these would end within a day in quadratic time.
#[test]
fn hostile_pages_take_linear_time() {
    let (many, siblings) = (30_000, 100_000);
    let body = paragraphs(5);
    for page in [
        format!("{}{body}", "<div>".repeat(many)),
        format!("{}{body}", "<div class='related share comment author'><p>a.".repeat(many)),
        format!("<div class='{}' style='{}'>{body}</div>", "a ".repeat(500_000), "left:0;".repeat(150_000)),
        format!("<div>{}</div>{body}", "<p>x</p>".repeat(siblings)),
        format!("<div>{}</div>{body}", "<h3>Related</h3><p>Read more: <a>x</a>".repeat(many / 2)),
        format!("<title>{}</title>{}{body}", "a b ".repeat(many), "<h2>a b a b a b a b a b</h2>".repeat(many / 2)),
        format!("{}{body}", "<table><tr><td>x".repeat(many / 4)),
        format!("{}{body}", "<b><i><a href=x>".repeat(many / 4)),
        format!("{body}{}", "<!--".repeat(many)),
        format!("{body}{}", "<script><!--<script>".repeat(many)),
        format!("{body}{}", "&amp&#1".repeat(many)),
        format!("<ul>{}{body}", "<li><a href=x>y</a>".repeat(siblings)),
    ] {
        let document = read(&page, "https://example.com/", &TEXT).expect("a document");
        assert!(document.text.len() <= 2 * page.len());
    }
}

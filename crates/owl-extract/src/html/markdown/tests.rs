use proptest::prelude::{Strategy, prop, proptest};
use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::document::Extractor;
use crate::html::content::Content;
use crate::html::dom::Dom;
use crate::html::hidden::is_hidden;

/// The Markdown of a whole page.
fn markdown(html: &str) -> String {
    let dom = Dom::parse(html);
    let mut dropped = vec![false; dom.len()];
    dom.descendants(dom.root()).for_each(|id| dropped[id.index()] = is_hidden(&dom, id));
    let content = Content { roots: vec![dom.root()], dropped, extractor: Extractor::Page };
    super::write(&dom, &content, "https://example.com/dir/page", true).text
}

fn check(html: &str, expected: &str) {
    assert_eq!(markdown(html), expected, "{html}");
}

#[test]
fn words_keep_one_space_and_marks_stay_at_words() {
    check("<p> a\n  b <b> c </b>d</p>", "a b **c** d");
    check("<p><b>a</b><b>b</b> <i></i><i> </i>c", "**ab** c");
    check("<b><p>one</p><p>two</p></b>", "**one**\n\n**two**");
    check("<p><i>a<b>b</b></i><b>c</b>", "*a**b*****c**");
    check("<p>强调<b>重点。</b>后文", "强调**重点**。后文");
    check("<p>中文\n中文 and\nwords", "中文中文 and words");
    check("<p>a<br>b<br><br>c", "a  \nb\n\nc");
    check("<h2>A <b>bold</b><br>title #</h2>", "## A bold title # #");
    check("soft\u{ad}hyphen<wbr>and&nbsp;&nbsp;space", "softhyphenand space");
    check(
        "<p>x<del>y</del> <q>said</q> <ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>",
        "x~~y~~ “said” 漢字(かんじ)",
    );
}

#[test]
fn text_does_not_become_markdown() {
    for (text, expected) in [
        ("2 * 3 and 2*3", "2 * 3 and 2\\*3"),
        ("snake_case and _this_", "snake_case and \\_this_"),
        ("[a](b) [c]: d [e][f] [^1] [g]", "[a]\\(b) [c]\\: d [e]\\[f] \\[^1] [g]"),
        ("a &lt; b, &lt;b>, &lt;/b>, &lt;!--", "a < b, \\<b>, \\</b>, \\<!--"),
        ("AT&amp;T, &amp;amp; &amp;#65; &amp; so; on", "AT&T, \\&amp; \\&#65; & so; on"),
        ("`code` C:\\dir \\* end\\", "\\`code\\` C:\\dir \\\\\\* end\\\\"),
        ("~~no~~ ~ish", "\\~\\~no\\~\\~ ~ish"),
        ("# a", "\\# a"),
        ("#tag", "#tag"),
        ("- a", "\\- a"),
        ("-5 degrees", "-5 degrees"),
        ("1. a", "1\\. a"),
        ("1.5 a", "1.5 a"),
        ("2024) b", "2024\\) b"),
        ("> a", "\\> a"),
        ("=== ===", "\\=== ==="),
        ("--- | ---", "\\--- | ---"),
        ("* * *", "\\* * *"),
        ("+ a", "\\+ a"),
        (": a", "\\: a"),
        ("see https://example.org/a_b_/c", "see https://example.org/a_b_/c"),
    ] {
        check(&format!("<p>{text}</p>"), expected);
    }
    check("<p>a<br># b<br>- c", "a  \n\\# b  \n\\- c");
    check("<ul><li>[ ] no box</ul>", "- \\[ ] no box");
}

#[test]
fn lists_nest_and_count() {
    check("<ul><li>a<ul><li>b</ul><li>c</ul>", "- a\n  - b\n- c");
    check("<ol start=9><li>a<li>b<li value=20>c</ol>", "9. a\n10. b\n20. c");
    check("<ol reversed><li>a<li>b</ol>", "2. a\n1. b");
    check("<ul><li><p>a</p><p>b</p><li>c</ul>", "- a\n\n  b\n\n- c");
    check("<ul><li>a<pre>x\ny</pre>z</ul>", "- a\n\n  ```\n  x\n  y\n  ```\n\n  z");
    check("<ul><li><li> <li>a</ul>", "- a");
    check(
        "<ul><li><input type=checkbox checked disabled> done<li><label><input type=checkbox>open</label></ul>",
        "- [x] done\n- [ ] open",
    );
    check("<blockquote><p>a</p><blockquote>b</blockquote><ul><li>c</ul></blockquote>d", "> a\n>\n> > b\n>\n> - c\n\nd");
    check("<dl><dt>T<dd>D<dd>E</dl>", "**T**\n: D\n: E");
}

#[test]
fn code_keeps_its_lines_and_names_its_language() {
    for (html, expected) in [
        ("<pre>\na\n  b\n</pre>", "```\na\n  b\n```"),
        ("<pre><code class='hljs language-rust'>x</code></pre>", "```rust\nx\n```"),
        ("<div class='highlight-source-shell'><pre>x</pre></div>", "```shell\nx\n```"),
        (
            "<div class='highlight-python notranslate'><div class=highlight><pre>x</pre></div></div>",
            "```python\nx\n```",
        ),
        ("<pre class='sourceCode haskell'>x</pre>", "```haskell\nx\n```"),
        ("<pre class='brush: js; x'>x</pre>", "```js\nx\n```"),
        ("<pre data-lang='C++'>x</pre>", "```c++\nx\n```"),
        ("<pre class='language-none'>x</pre>", "```\nx\n```"),
        ("<pre class='language-`x`'>x</pre>", "```\nx\n```"),
        ("<pre>```\n````</pre>", "`````\n```\n````\n`````"),
        (
            "<pre><span class=lineno>1</span>a\n<span class=lineno>2</span>b<button>Copy</button></pre>",
            "```\na\nb\n```",
        ),
        ("<pre><div>a</div><div>b</div></pre>", "```\na\nb\n```"),
        ("<pre>a<br>b</pre>", "```\na\nb\n```"),
        (
            "<table class=highlighttable><tr><td class=linenos><pre>1\n2</pre><td class=code><pre>a\nb</pre></table>",
            "```\na\nb\n```",
        ),
        ("<p><code>a  b</code> <code>`</code> <code></code><kbd>X</kbd>", "`a b` `` ` `` `X`"),
        ("<p><code><a href=/x>f()</a></code>", "[`f()`](https://example.com/x)"),
    ] {
        check(html, expected);
    }
}

#[test]
fn links_are_absolute_and_harmless() {
    for (html, expected) in [
        ("<a href='x y'>t</a>", "[t](https://example.com/dir/x%20y)"),
        ("<a href=//o.org/>t</a>", "[t](https://o.org/)"),
        ("<a href='?a|b'>t</a>", "[t](https://example.com/dir/page?a%7Cb)"),
        ("<a href='/a_(b)'>t</a>", "[t](https://example.com/a_(b))"),
        ("<a href='/a)'>t</a>", "[t](<https://example.com/a)>)"),
        (
            "<a href=' java\nscript:x'>t</a><a href='data:text/html,x'>u</a><a href=vbscript:x>v</a><a href=file:///x>w</a>",
            "tuvw",
        ),
        ("<a href=mailto:a@b.c>t</a>", "[t](mailto:a@b.c)"),
        ("<a href=/x></a><a href=/y> </a><a name=z>z</a>", "z"),
        ("<a href=/x>a [b] c</a>", "[a \\[b\\] c](https://example.com/x)"),
        ("Hey!<a href=/x>a</a>", "Hey\\![a](https://example.com/x)"),
        ("<a href=https://o.org/x>https://o.org/x</a>", "<https://o.org/x>"),
        ("<a href=/x> a </a>b", "[a](https://example.com/x) b"),
        ("<a href=/x><p>a</p><p>b</p></a>", "[a](https://example.com/x)\n\nb"),
        ("<h2 id=a><a href=#a>Title</a><a class=anchor href=#a>#</a></h2>", "## Title"),
        ("<a href=#main>Skip to content</a><p>x", "x"),
        ("<base href='https://b.org/c/'><a href=d>t</a>", "[t](https://b.org/c/d)"),
        ("<base href='javascript:x'><a href=d>t</a>", "[t](https://example.com/dir/d)"),
    ] {
        check(html, expected);
    }
}

#[test]
fn images_have_a_source_on_the_web() {
    for (html, expected) in [
        ("<img src=a.png alt='A [b]\n c'>", "![A \\[b\\] c](https://example.com/dir/a.png)"),
        ("<img src='data:image/png;base64,AA' alt=x>", ""),
        ("<img src='data:image/gif;base64,AA' data-src=/b.png>", "![](https://example.com/b.png)"),
        ("<img srcset='/s.png 1x, /l.png 2x'>", "![](https://example.com/s.png)"),
        ("<picture><source srcset='/w.webp'><img alt=x></picture>", "![x](https://example.com/w.webp)"),
        ("<img src=p.gif width=1 height=1>", ""),
        ("<b><img src=/a.png> b</b>", "![](https://example.com/a.png) **b**"),
        ("<img class=emoji alt=😀 src=e.png>", "😀"),
        (
            "<a href=/big.png><img src=s.png alt=x></a>",
            "[![x](https://example.com/dir/s.png)](https://example.com/big.png)",
        ),
        (
            "<figure><img src=/a.png><figcaption>Seen <b>here</b></figcaption></figure>",
            "![](https://example.com/a.png)\n\n*Seen **here***",
        ),
        (
            "<iframe src=/e title='A map'></iframe><video><source src=/v.mp4></video>",
            "[Embedded page: A map](https://example.com/e)\n\n[Video](https://example.com/v.mp4)",
        ),
    ] {
        check(html, expected);
    }
}

#[test]
fn tables_of_data_are_tables_and_others_flow() {
    for (html, expected) in [
        ("<table><tr><th>A<th>B<tr><td>1<td>2</table>", "| A | B |\n| --- | --- |\n| 1 | 2 |"),
        ("<table><tr><td>1<td>2<tr><td>3<td>4</table>", "| | |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"),
        ("<table><tr><th>K<td>1<tr><th>L<td>2</table>", "| | |\n| --- | --- |\n| K | 1 |\n| L | 2 |"),
        (
            "<table><tr><th colspan=2>T<th>U<tr><td>1<td>2<td>3</table>",
            "| T | | U |\n| --- | --- | --- |\n| 1 | 2 | 3 |",
        ),
        (
            "<table><tr><th>A<th>B<tr><td rowspan=2>x<td>1<tr><td>2</table>",
            "| A | B |\n| --- | --- |\n| x | 1 |\n| x | 2 |",
        ),
        (
            "<table><tr><th>A<th>B<tr><td>a|b<p>c</p><ul><li>d<li>e</ul><td><code>x|y</code></table>",
            "| A | B |\n| --- | --- |\n| a\\|b<br>c<br>- d<br>- e | `x\\|y` |",
        ),
        ("<table><tr><td><table><tr><th>A<th>B<tr><td>1<td>2</table></table>", "| A | B |\n| --- | --- |\n| 1 | 2 |"),
        ("<table role=presentation><tr><td>a<td>b<tr><td>c</table>", "a b\n\nc"),
        ("<table><tr><td>a<td>b</table>", "a b"),
        ("<table><tr><td><h2>T</h2><p>x</p><td>y<tr><td>z</table>", "## T\n\nx\n\ny\n\nz"),
        (
            "<table><tr><th>A<th>B<tr><td><table><tr><td>1<td>2</table><td>3</table>",
            "| A | B |\n| --- | --- |\n| 1 2 | 3 |",
        ),
        ("<table><tr><th>A<th>B<tr><td><td></table>", "| A | B |\n| --- | --- |"),
    ] {
        check(html, expected);
    }
}

#[test]
fn footnotes_are_footnotes() {
    check(
        "<p>a<sup id=r1><a href=#fn1>1</a></sup> b<a class=footnote-ref href=#fn2>[2]</a>.</p>\
         <ol><li id=fn1><p>One. <a href=#r1>↩</a></p><li id=fn2>Two.</ol>",
        "a[^1] b[^2].\n\n[^1]: One.\n[^2]: Two.",
    );
    check("<p>a<sup><a href=#gone>1</a></sup></p>", "a[1](https://example.com/dir/page#gone)");
    check("<p id=t>a <a href=#t>1</a></p>", "a [1](https://example.com/dir/page#t)");
}

#[test]
fn formulas_are_tex() {
    check("<math alttext='a^2'><mi>a</mi></math>", "$a^2$");
    check(
        "<math display=block><semantics><mi>a</mi><annotation encoding='application/x-tex'>\\frac a b</annotation></semantics></math>",
        "$$\\frac a b$$",
    );
    check("<p>x<sup>2</sup> H<sub>2</sub>O V<sub>max</sub> 1<sup>st</sup>", "x² H₂O V_max 1st");
    check("<p><script type='math/tex'>x_1</script>", "$x_1$");
}

#[test]
fn what_is_not_seen_is_not_written() {
    check(
        "<p>a<!-- b --><span style='display:none'>c</span><span hidden>d</span><i aria-hidden=true>e</i>\
         <span style='position:absolute;left:-9999px'>f</span><span style='font-size:0'>g</span><script>h</script>\
         <style>i</style><template>j</template><noscript>k</noscript></p>",
        "a",
    );
}

/// Pages whose cost or size would explode if anything were quadratic.
#[test]
fn hostile_pages_stay_small() {
    let many = |part: &str, times: usize| part.repeat(times);
    for html in [
        many("<div>", 20_000) + "x",
        many("<ul><li>a", 10_000),
        many("<blockquote>a<br>", 10_000),
        many("<table><tr><td>a", 10_000),
        many("<b><i>a", 10_000),
        many("<a href=x>a", 10_000),
        many("<p>a", 30_000),
        format!("<base href='/{}'>{}", "x".repeat(1900), many("<a href=y>z</a>", 10_000)),
        format!(
            "<table><tr><th>a{}{}",
            many("<td rowspan=1000 colspan=1000>yyyyyyyyyyyyyyyy", 1000),
            many("<tr><td>x", 10_000)
        ),
        format!("<table><tr>{}{}", many("<td>a", 5000), many("<tr><th>x", 5000)),
        format!("<p title='{}'>a", "x".repeat(1_000_000)),
        format!("<pre>{}</pre>", many("`a``", 50_000)),
        many("<a href=#fn1>1</a>", 10_000) + "<li id=fn1>x",
        many("[*_`<\\", 50_000),
    ] {
        let text = markdown(&html);
        assert!(text.len() <= html.len() * 12 + 1000, "{} from {}: {:.60}", text.len(), html.len(), html);
    }
}

/// What a reader of the Markdown sees: its text, and the names of what it is set in.
fn parsed(markdown: &str) -> (String, Vec<String>) {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_FOOTNOTES;
    let (mut text, mut tags) = (String::new(), Vec::new());
    for event in Parser::new_ext(markdown, options) {
        match event {
            Event::Text(piece) | Event::Code(piece) => text.push_str(&piece),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            Event::Start(Tag::Paragraph) | Event::End(_) => {}
            Event::Start(tag) => tags.push(format!("{tag:?}")),
            other => tags.push(format!("{other:?}")),
        }
    }
    (text, tags)
}

/// Text of everything that Markdown is made of.
fn tricky() -> impl Strategy<Value = String> {
    let part = "[-+*_#>=~`|:.!()\\[\\]\\\\<&; ^x1$]|\n|https://|ab|&amp;|<br>|\\[\\^1\\]|  ";
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

fn as_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

proptest! {
    #[test]
    fn no_text_becomes_markdown(text in tricky()) {
        let markdown = markdown(&format!("<p>{}</p>", as_html(&text)));
        let (read, tags) = parsed(&markdown);
        let expected = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!((read, tags), (expected, Vec::new()), "{markdown:?}");
    }

    #[test]
    fn no_text_leaves_what_it_is_in(text in "[a-z]", rest in tricky()) {
        let text = format!("{text}{rest}z");
        let expected = text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        for (html, tag) in [
            ("<ul><li>@</ul>", "Item"),
            ("<h2>@</h2>", "Heading"),
            ("<blockquote>@</blockquote>", "BlockQuote"),
            ("<p><a href=/x>@</a>", "Link"),
            ("<p><b>@</b>", "Strong"),
            ("<p><code>@</code>", ""),
            ("<pre>@</pre>", "CodeBlock"),
            ("<table><tr><th>A<th>B<tr><td>@<td></table>", "TableCell"),
        ] {
            let markdown = markdown(&html.replace('@', &as_html(&text)));
            let (read, tags) = parsed(&markdown);
            assert!(tag.is_empty() || tags.iter().any(|found| found.starts_with(tag)), "{markdown:?} {tags:?}");
            let read = read.trim_start_matches("AB").split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(read, expected, "{markdown:?}");
        }
    }
}

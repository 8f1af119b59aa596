use super::{Dom, Selectors};

const PAGE: &str = "<body><main id=m class='a b'><h1>T</h1><p class=x lang=en-GB>one</p><p>two <b>bold</b></p>
<ul><li>1<li class=x>2<li>3</ul><p data-k='V w'>three</p></main><aside><p class=x>four</p><div></div></aside>";

fn check(selector: &str, expect: &[&str]) {
    let dom = Dom::parse(PAGE);
    let found = Selectors::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}")).select(&dom);
    let texts: Vec<String> = found.into_iter().map(|id| dom.text_content(id).trim().to_owned()).collect();
    assert_eq!(texts, expect, "{selector}");
}

#[test]
fn selectors_select() {
    check("h1", &["T"]);
    check("H1, aside p", &["T", "four"]);
    check("#m > p", &["one", "two bold", "three"]);
    check(".x", &["one", "2", "four"]);
    check("main.a.b p.x", &["one"]);
    check("p b", &["bold"]);
    check("h1 + p", &["one"]);
    check("h1 ~ p", &["one", "two bold", "three"]);
    check("li:first-child, li:last-child", &["1", "3"]);
    check("li:nth-child(2n+1)", &["1", "3"]);
    check("li:nth-child(-n+2)", &["1", "2"]);
    check("li:nth-last-child(1)", &["3"]);
    check("main p:nth-of-type(2)", &["two bold"]);
    check("main > p:last-of-type", &["three"]);
    check("[data-k]", &["three"]);
    check("[data-k='V w'], [data-k=\"no\"]", &["three"]);
    check("[data-k~=w]", &["three"]);
    check("[data-k^=v i]", &["three"]);
    check("[lang|=en]", &["one"]);
    check("[class*=' b' ] > h1", &["T"]);
    check("main p:not(.x):not([data-k])", &["two bold"]);
    check("main p:not(.x, [data-k])", &["two bold"]);
    check("p:has(b)", &["two bold"]);
    check(":is(h1, aside) > p, h1:is(main > *)", &["T", "four"]);
    check("div:empty", &[""]);
    check("b:only-child", &["bold"]);
    check("table", &[]);
}

#[test]
fn what_is_selected_twice_is_given_once() {
    check("main, main p, h1", &["Tone\u{74}wo bold\n123three"]);
}

#[test]
fn what_is_no_selector_is_told() {
    for (selector, says) in [
        ("", "ends too early"),
        ("p >", "ends too early"),
        ("p, ", "ends too early"),
        ("p::before", "pseudo-elements"),
        ("p:hover", ":hover"),
        ("[a=", "ends too early"),
        ("[a='b]", "quotation mark"),
        ("p)", "`)`"),
        ("li:nth-child(x)", "no sequence"),
        ("{}", "`{}`"),
    ] {
        let error = Selectors::parse(selector).expect_err(selector);
        assert!(error.contains(says), "{selector}: {error}");
    }
    assert!(Selectors::parse(&"p ".repeat(1000)).is_err());
    assert!(Selectors::parse(&format!("{}p{}", ":not(".repeat(20), ")".repeat(20))).is_err());
}

#[test]
fn a_long_selector_takes_a_long_page_no_time_that_grows_with_combinations() {
    let dom = Dom::parse(&format!("{}{}", "<div>".repeat(400), "<p>x".repeat(50_000)));
    let selector = Selectors::parse(&format!("{} i", "div ".repeat(60))).expect("a selector");
    assert!(selector.select(&dom).is_empty());
}

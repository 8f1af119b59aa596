use proptest::prelude::{Strategy, prop, proptest};
use unicode_segmentation::UnicodeSegmentation;

use super::page;

/// All pages of a text.
fn pages(text: &str, most: usize) -> Vec<&str> {
    let (mut all, mut start) = (Vec::new(), 0);
    loop {
        let piece = page(text, start, most);
        all.push(piece.text);
        assert_eq!(piece.length, text.chars().count());
        match piece.next {
            None => return all,
            Some(next) => {
                assert!(next > start, "{start} to {next}");
                assert_eq!(next, start + piece.text.chars().count());
                start = next;
            }
        }
    }
}

fn check(text: &str, most: usize, expected: &[&str]) {
    assert_eq!(pages(text, most), expected, "{text:?} by {most}");
}

#[test]
fn a_short_text_is_one_page() {
    check("", 10, &[""]);
    check("short", 5, &["short"]);
    assert_eq!(page("short", 9, 5).text, "");
    assert_eq!(page("short", 9, 5).next, None);
    assert_eq!(page("short", 3, usize::MAX).text, "rt");
}

#[test]
fn pages_end_where_a_reader_would_pause() {
    check("One.\n\nTwo is long.\n\nThree.\n\nFour.", 22, &["One.\n\nTwo is long.\n\n", "Three.\n\nFour."]);
    check("first line\nsecond line\nthird line", 25, &["first line\nsecond line\n", "third line"]);
    check("A sentence. Another one. And a third.", 28, &["A sentence. Another one. ", "And a third."]);
    check("He said: \"No.\" Then more words", 20, &["He said: \"No.\" ", "Then more words"]);
    check("words without any end at all", 11, &["words ", "without ", "any end at ", "all"]);
    check("吾輩は猫である。名前はまだ無い。どこで", 18, &["吾輩は猫である。名前はまだ無い。", "どこで"]);
    check("「猫である。」名前はまだ", 9, &["「猫である。」", "名前はまだ"]);
    check("abcdefghij", 4, &["abcd", "efgh", "ij"]);
}

#[test]
fn a_paragraph_early_on_the_page_is_no_reason_to_leave_it_empty() {
    check("A.\n\nlong words that go on and on", 20, &["A.\n\nlong words that ", "go on and on"]);
}

#[test]
fn a_heading_goes_with_what_it_heads() {
    check("Some text here.\n\n# Head\n\nMore text.", 26, &["Some text here.\n\n", "# Head\n\nMore text."]);
}

#[test]
fn a_code_block_stays_whole_when_it_can() {
    let text = "Before, a line.\n\n```\none\n\ntwo\n```\n\nAfter.";
    check(text, 28, &["Before, a line.\n\n", "```\none\n\ntwo\n```\n\nAfter."]);
    check(
        "> Before, a line.\n>\n> ~~~~\n> one\n> ~~~\n> two\n",
        34,
        &["> Before, a line.\n>\n", "> ~~~~\n> one\n> ~~~\n> two\n"],
    );
    // Too long for a page: between its lines.
    check("```\naaaa\nbbbb\ncccc\ndddd\n```\n", 16, &["```\naaaa\nbbbb\n", "cccc\ndddd\n```\n"]);
    // An inline span is no block.
    check("```x``` and so on\nand on\nand on", 26, &["```x``` and so on\nand on\n", "and on"]);
}

#[test]
fn no_character_is_cut() {
    let family = "👨\u{200d}👩\u{200d}👧";
    check(&family.repeat(2), 7, &[family, family]);
    check("ab\r\ncd", 3, &["ab", "\r\n", "cd"]);
    check("aae\u{301}a", 3, &["aa", "e\u{301}a"]);
    check("🇩🇪🇫🇷🇮🇹", 3, &["🇩🇪", "🇫🇷", "🇮🇹"]);
}

#[test]
fn what_fits_no_page_is_cut_after_all() {
    check("e\u{301}\u{302}\u{303}", 2, &["e\u{301}", "\u{302}\u{303}"]);
    check("abc", 0, &["a", "b", "c"]);
    let hostile = format!("a{}", "\u{301}".repeat(20_000));
    assert_eq!(pages(&hostile, 1000).len(), 21);
}

fn texts() -> impl Strategy<Value = String> {
    const PARTS: [&str; 27] = [
        "\n\n",
        "\n",
        ". ",
        "! ",
        "? ",
        "。",
        "```\n",
        "~~~~\n",
        "# ",
        "> ",
        "- ",
        " ",
        "\t",
        "\r\n",
        "a",
        "bcd",
        "efghijklm",
        "é",
        "e\u{301}",
        "中文",
        "👨\u{200d}👩",
        "🇩🇪🇫🇷",
        "\u{301}",
        "\u{200d}",
        "क्षि",
        "한",
        "\u{1100}\u{1161}",
    ];
    prop::collection::vec(prop::sample::select(&PARTS[..]), 0..80).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn all_pages_are_the_text(text in texts(), most in 0usize..60) {
        let all = pages(&text, most);
        assert_eq!(all.concat(), text);
        let longest = text.graphemes(true).map(|g| g.chars().count()).max().unwrap_or(0);
        let boundaries: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
        let mut at = 0;
        for piece in &all {
            assert!(piece.chars().count() <= most.max(1));
            assert!(at == 0 || longest > most || boundaries.contains(&at) || at == text.len(), "{at} in {text:?}");
            at += piece.len();
        }
    }

    #[test]
    fn a_page_may_begin_anywhere(text in texts(), start in 0usize..100, most in 0usize..60) {
        let piece = page(&text, start, most);
        assert_eq!(piece.text, text.chars().skip(piece.start).take(piece.text.chars().count()).collect::<String>());
    }
}

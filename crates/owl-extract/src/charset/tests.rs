use encoding_rs::Encoding;
use proptest::prelude::{any, proptest};

use super::{Declares, declared, decode};
use crate::document::Source;

const RUSSIAN: &str = "Широкая электрификация южных губерний даст мощный толчок подъёму сельского хозяйства.";
const CHINESE: &str = "我们在学习中文的时候,应该多听、多说、多读、多写。这是一个很好的方法。";
const TAIWAN: &str = "我們在學習中文的時候,應該多聽、多說、多讀、多寫。這是一個很好的方法。";
const JAPANESE: &str = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。";
const KOREAN: &str = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.";
const FRENCH: &str = "Dès Noël où un zéphyr haï me vêt, je dîne d'exquis rôtis de bœuf au kir à l'aÿ d'âge mûr.";
const GREEK: &str = "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Η γρήγορη καφέ αλεπού πηδάει πάνω από το σκυλί.";

fn encoded(text: &str, label: &str) -> Vec<u8> {
    match label {
        "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        _ => Encoding::for_label(label.as_bytes()).unwrap().encode(text).0.into_owned(),
    }
}

fn html(bytes: &[u8], content_type: Option<&str>) -> (String, &'static str) {
    let source = Source { bytes, content_type, url: "https://example.com/" };
    let decoded = decode(&source, Declares::Html);
    (decoded.text.into_owned(), decoded.charset)
}

const ALL: [(&str, &str); 14] = [
    (RUSSIAN, "windows-1251"),
    (RUSSIAN, "koi8-r"),
    (RUSSIAN, "iso-8859-5"),
    (RUSSIAN, "ibm866"),
    (CHINESE, "gbk"),
    (CHINESE, "gb18030"),
    (TAIWAN, "big5"),
    (JAPANESE, "shift_jis"),
    (JAPANESE, "euc-jp"),
    (JAPANESE, "iso-2022-jp"),
    (KOREAN, "euc-kr"),
    (FRENCH, "windows-1252"),
    (GREEK, "windows-1253"),
    (FRENCH, "utf-8"),
];

#[test]
fn a_header_names_the_charset() {
    for (text, label) in ALL.into_iter().chain([(JAPANESE, "utf-16le"), (JAPANESE, "utf-16be")]) {
        for content_type in
            [format!("text/html; charset={label}"), format!("text/html;x=y; Charset = \"{}\"", label.to_uppercase())]
        {
            let (read, charset) = html(&encoded(text, label), Some(&content_type));
            assert_eq!(read, text, "{content_type} read as {charset}");
        }
    }
}

#[test]
fn a_page_names_its_charset() {
    for (text, label) in ALL {
        for meta in [
            format!("<!-- <meta charset=nothing> --><meta charset={label}>"),
            format!("<title a='<meta charset=big5>'>x</title><META name=x CharSet = '{label}' />"),
            format!("<meta content=\"text/html; charset={label}; x\" http-equiv='Content-Type'>"),
            format!("<?xml version=\"1.0\" encoding=\"{label}\"?><html>"),
        ] {
            let page = format!("{meta}<p>{text}");
            let (read, charset) = html(&encoded(&page, label), Some("text/html"));
            assert_eq!(read, page, "{label} read as {charset}");
        }
    }
}

#[test]
fn bytes_tell_their_charset() {
    for (text, label) in ALL.into_iter().chain([(FRENCH, "utf-16le"), (FRENCH, "utf-16be")]) {
        let text = format!("<html><head><title>{text}</title></head><body><p>{text}</p></body></html>");
        let (read, charset) = html(&encoded(&text, label), None);
        assert_eq!(read, text, "{label} read as {charset}");
    }
}

#[test]
fn a_byte_order_mark_is_stronger_than_what_is_declared() {
    for (mark, label, name) in [
        (&b"\xef\xbb\xbf"[..], "utf-8", "UTF-8"),
        (b"\xff\xfe", "utf-16le", "UTF-16LE"),
        (b"\xfe\xff", "utf-16be", "UTF-16BE"),
    ] {
        let bytes = [mark, &encoded(RUSSIAN, label)].concat();
        assert_eq!(html(&bytes, Some("text/html; charset=koi8-r")), (RUSSIAN.to_owned(), name));
    }
}

#[test]
fn what_is_declared_and_cannot_be_is_not_believed() {
    for (text, is, said) in [
        (RUSSIAN, "windows-1251", "utf-8"),
        (CHINESE, "gbk", "utf-8"),
        (JAPANESE, "shift_jis", "utf-8"),
        (KOREAN, "euc-kr", "UTF-8"),
        (FRENCH, "windows-1252", "utf-8"),
        (RUSSIAN, "utf-8", "iso-8859-1"),
        (CHINESE, "utf-8", "gbk"),
        (JAPANESE, "utf-8", "shift_jis"),
        (JAPANESE, "euc-jp", "shift_jis"),
        (RUSSIAN, "windows-1251", "no-such-charset"),
        (RUSSIAN, "utf-8", "utf-7"),
    ] {
        let (read, charset) = html(&encoded(text, is), Some(&format!("text/html; charset={said}")));
        assert_eq!(read, text, "{is} called {said}, read as {charset}");
    }
}

#[test]
fn the_document_is_heard_when_the_server_calls_everything_latin() {
    let page = format!("<meta charset=windows-1251><p>{RUSSIAN}");
    let (read, _) = html(&encoded(&page, "windows-1251"), Some("text/html; charset=iso-8859-1"));
    assert_eq!(read, page);
    let page = format!("<meta charset=windows-1251><p>{FRENCH}");
    let (read, _) = html(&encoded(&page, "windows-1252"), Some("text/html; charset=iso-8859-1"));
    assert_eq!(read, page);
}

#[test]
fn utf_7_is_never_honoured() {
    let text = "+ADw-script+AD4-alert(1)+ADw-/script+AD4-";
    for page in [text.to_owned(), format!("<meta charset=utf-7>{text}")] {
        assert_eq!(html(page.as_bytes(), Some("text/html; charset=utf-7")), (page, "UTF-8"));
    }
}

#[test]
fn little_damage_does_not_change_the_charset() {
    let bytes = RUSSIAN.as_bytes();
    let cut = &bytes[..bytes.iter().rposition(|b| *b >= 0xc0).unwrap() + 1];
    for content_type in [None, Some("text/html; charset=utf-8")] {
        let (read, charset) = html(cut, content_type);
        assert_eq!(charset, "UTF-8");
        assert!(read.starts_with("Широкая") && read.ends_with('\u{fffd}'), "{read}");
    }
}

#[test]
fn a_declaration_is_looked_for_where_it_may_be() {
    for (page, found) in [
        ("<meta charset=big5>", Some("big5")),
        ("<meta/charset=big5>", Some("big5")),
        ("<metal charset=big5>", None),
        ("</meta charset=big5>", None),
        ("<!--><meta charset=big5>", Some("big5")),
        ("<!-- <meta charset=big5>", None),
        ("<!doctype html><meta charset=\"big5", Some("big5")),
        ("<meta content='text/html; charset=big5'>", None),
        ("<meta http-equiv=refresh content='charset=big5'>", None),
        ("<meta http-equiv=content-type content='charset = \"big5\"'>", Some("big5")),
        ("<? <meta charset=gbk> <meta charset=big5>", Some("big5")),
        ("<a b=c d='<meta charset=gbk>' ==x><meta charset=big5>", Some("big5")),
        ("<<meta charset=big5>", Some("big5")),
        ("<meta =charset=big5 charset=gbk>", Some("gbk")),
    ] {
        assert_eq!(declared::in_html(page.as_bytes()), found, "{page}");
    }
    let far = format!("{}<meta charset=big5>", " ".repeat(5000));
    assert_eq!(declared::in_html(far.as_bytes()), Some("big5"));
    let source = Source { bytes: b"<meta charset=big5>\xa4\xa4", content_type: None, url: "" };
    assert_ne!(decode(&source, Declares::Nothing).charset, "Big5", "plain text declares nothing");
}

#[test]
fn a_host_hints_at_the_charset_of_a_short_text() {
    let bytes = encoded("Привет", "windows-1251");
    let at = |url| decode(&Source { bytes: &bytes, content_type: None, url }, Declares::Nothing).charset;
    assert_eq!(at("https://example.ru/x"), "windows-1251");
    assert_eq!(at("https://пример.рф/"), "windows-1251");
    // Whatever stands where a host would: a guess, not a panic.
    for url in ["", "https://EXAMPLE.RU./", "https://[::1]/", "https://1.2.3.4/", "data:,x", "https://a._B/"] {
        let _ = at(url);
    }
}

proptest! {
    #[test]
    fn any_bytes_become_text(bytes: Vec<u8>, label in "(text/html; charset=[a-z0-9-]{0,12})|(.{0,20})", html in any::<bool>()) {
        let declares = if html { Declares::Html } else { Declares::Nothing };
        let source = Source { bytes: &bytes, content_type: Some(&label), url: "https://example.jp/" };
        decode(&source, declares);
    }

    #[test]
    fn any_text_in_utf_8_is_read_as_it_is(text in "[^\u{feff}\u{0}\u{1b}].*") {
        let source = Source { bytes: text.as_bytes(), content_type: None, url: "" };
        assert_eq!(decode(&source, Declares::Nothing).text, text);
    }
}

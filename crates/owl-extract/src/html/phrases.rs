//! What short texts on pages say, in the languages that most pages are written in: that related pages follow, that this is
//! an advertisement, when something was published.
//!
//! Only short blocks are looked up, so that no sentence of a text is taken for one of these.

/// Headings over other pages of the same site. A heading that begins with one of these.
const RELATED: &[&str] = &[
    "also on",
    "also read",
    "continue reading",
    "don't miss",
    "don’t miss",
    "further reading on",
    "hot topics",
    "just in",
    "keep reading",
    "latest from",
    "latest headlines",
    "latest in",
    "latest news",
    "latest posts",
    "latest stories",
    "more about this",
    "more coverage",
    "more from",
    "more great",
    "more headlines",
    "more in ",
    "more like this",
    "more news",
    "more on this",
    "more posts",
    "more stories",
    "more top stories",
    "most popular",
    "most read",
    "most viewed",
    "next article",
    "next story",
    "now read",
    "other articles",
    "other stories",
    "our latest",
    "people also",
    "popular articles",
    "popular now",
    "popular posts",
    "popular stories",
    "previous article",
    "read also",
    "read more",
    "read next",
    "recent articles",
    "recent posts",
    "recommended",
    "related",
    "see also:",
    "share this",
    "similar articles",
    "similar posts",
    "similar stories",
    "sponsored",
    "suggested",
    "top stories",
    "trending",
    "up next",
    "what to read next",
    "you may also",
    "you might also",
    "you may like",
    "you might like",
    "à lire",
    "a lire aussi",
    "lire aussi",
    "lire la suite",
    "articles liés",
    "articles similaires",
    "sur le même sujet",
    "dans la même rubrique",
    "les plus lus",
    "voir aussi :",
    "auch interessant",
    "das könnte",
    "lesen sie auch",
    "mehr zum thema",
    "mehr aus",
    "meistgelesen",
    "weitere artikel",
    "weitere meldungen",
    "weitere themen",
    "zum thema",
    "ähnliche artikel",
    "mehr artikel",
    "artículos relacionados",
    "contenido relacionado",
    "lea también",
    "lee también",
    "le puede interesar",
    "más leídas",
    "más leídos",
    "más noticias",
    "noticias relacionadas",
    "te puede interesar",
    "también te puede",
    "te recomendamos",
    "relacionad",
    "lo más",
    "leia também",
    "leia mais",
    "mais lidas",
    "mais notícias",
    "matérias relacionadas",
    "notícias relacionadas",
    "posts relacionados",
    "artigos relacionados",
    "veja também",
    "você pode gostar",
    "saiba mais",
    "articoli correlati",
    "leggi anche",
    "potrebbe interessarti",
    "ti potrebbe",
    "i più letti",
    "lees ook",
    "meer over",
    "gerelateerd",
    "meer nieuws",
    "läs också",
    "läs mer",
    "les også",
    "læs også",
    "lue myös",
    "czytaj także",
    "czytaj też",
    "zobacz także",
    "zobacz też",
    "przeczytaj",
    "polecane",
    "čtěte také",
    "související",
    "читайте также",
    "читать также",
    "смотрите также",
    "по теме",
    "похожие",
    "популярные",
    "самые популярные",
    "самые читаемые",
    "другие новости",
    "ещё по теме",
    "еще по теме",
    "читайте ще",
    "читайте також",
    "baca juga",
    "artikel terkait",
    "berita terkait",
    "terkait",
    "ilgili haberler",
    "xem thêm",
    "tin liên quan",
    "bài liên quan",
    "σχετικά",
    "διαβάστε",
    "関連記事",
    "関連ニュース",
    "関連リンク",
    "あわせて読みたい",
    "おすすめ記事",
    "人気記事",
    "最新記事",
    "相关阅读",
    "相关新闻",
    "相关文章",
    "相關新聞",
    "推荐阅读",
    "延伸閱讀",
    "延伸阅读",
    "热门文章",
    "관련기사",
    "관련 기사",
    "추천기사",
    "인기기사",
    "많이 본",
    "اقرأ أيضا",
    "اقرأ أيضًا",
    "مواضيع ذات صلة",
    "קרא גם",
    "عن مواضيع مشابهة",
];

/// Blocks that are nothing but one of these.
const NOTHING: &[&str] = &[
    "ad",
    "ads",
    "advert",
    "advertisement",
    "advertisements",
    "advertising",
    "anzeige",
    "back to top",
    "caption",
    "click to enlarge",
    "close",
    "comments",
    "continue reading",
    "continue reading below",
    "copy link",
    "download",
    "email",
    "facebook",
    "follow us",
    "hide caption",
    "leave a comment",
    "like this",
    "linkedin",
    "loading",
    "loading...",
    "loading…",
    "log in",
    "media playback is unsupported on your device",
    "menu",
    "next",
    "no comments",
    "open in new window",
    "photo",
    "photos",
    "pinterest",
    "play",
    "play video",
    "playback is not supported on this device",
    "previous",
    "print",
    "publicidad",
    "publicidade",
    "publicité",
    "pubblicità",
    "reklama",
    "reklam",
    "реклама",
    "read more",
    "reddit",
    "report an error",
    "report this ad",
    "rss",
    "save",
    "scroll down to continue",
    "search",
    "share",
    "share on facebook",
    "share on twitter",
    "share this",
    "share this article",
    "share this story",
    "share this post",
    "show caption",
    "show more",
    "sign up",
    "skip advertisement",
    "skip to content",
    "skip to main content",
    "sponsored",
    "story continues",
    "story continues below",
    "story continues below advertisement",
    "article continues below",
    "article continues after ad",
    "advertisement - continue reading below",
    "subscribe",
    "toggle caption",
    "tweet",
    "twitter",
    "view comments",
    "view gallery",
    "watch",
    "werbung",
    "whatsapp",
    "広告",
    "广告",
    "廣告",
    "광고",
    "シェア",
    "分享",
    "分享到",
    "コメント",
    "إعلان",
];

/// What stands before a name.
const BY: &[&str] = &[
    "by ",
    "by: ",
    "written by",
    "posted by",
    "published by",
    "published:",
    "published on",
    "published ",
    "posted on",
    "posted:",
    "updated:",
    "last updated",
    "por ",
    "par ",
    "von ",
    "author:",
    "autor:",
    "автор",
    "from staff",
    "date:",
    "source:",
    "photo:",
    "photo by",
    "photo credit",
    "image:",
    "image credit",
    "credit:",
    "picture:",
];

/// Longer texts, in bytes, are none of these.
const LONGEST: usize = 160;

/// Whether a heading stands over other pages.
pub(super) fn is_related(text: &str) -> bool {
    let text = plain(text);
    text.len() < LONGEST && RELATED.iter().any(|beginning| text.starts_with(beginning))
}

/// Whether a block is a label without content: `Advertisement`, `3`, `1 / 6`.
pub(super) fn is_nothing(text: &str) -> bool {
    let text = plain(text);
    if text.len() >= LONGEST {
        return false;
    }
    let text = text.trim_end_matches([':', '.', '!', '…']);
    NOTHING.contains(&text) || is_number(text)
}

/// `3`, `1 / 6`, `2 of 9`.
fn is_number(text: &str) -> bool {
    let text = text.replace(" of ", "/");
    text.len() < 8
        && text.bytes().any(|b| b.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'/'))
}

/// Whether a short block says who wrote the text, or when.
pub(super) fn is_byline(text: &str) -> bool {
    let text = plain(text);
    text.len() < LONGEST
        && !has_price(&text)
        && (BY.iter().any(|beginning| text.starts_with(beginning)) || has_date(&text))
}

/// Whether a block says whose the text is.
pub(super) fn is_notice(text: &str) -> bool {
    let text = plain(text);
    text.len() < LONGEST
        && ["copyright", "©", "(c) ", "all rights reserved"].iter().any(|beginning| text.starts_with(beginning))
}

/// Whether a block asks the reader to sign up for letters.
pub(super) fn is_invitation(text: &str) -> bool {
    let text = plain(text);
    text.len() < 2 * LONGEST
        && (text.contains("newsletter") || text.contains("inbox"))
        && ["sign up", "subscribe", "signup", "get the", "get our", "delivered", "join our"]
            .iter()
            .any(|asks| text.contains(asks))
}

/// On one line, in lower case.
fn plain(text: &str) -> String {
    // What is longer is none of these, however long it is.
    let start = super::beginning(text, 4 * LONGEST);
    start.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// A sign of money: `€ 149.00` has a number such as dates have, and is none.
fn has_price(text: &str) -> bool {
    text.contains(['$', '€', '£', '¥', '₹', '₽', '₩', '₺', '₪', '฿', '₫', '₴', '₦', '₱'])
}

/// A year, or a time of day, or numbers as dates have them.
fn has_date(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || c == ',' || c == '(' || c == ')').any(|word| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let is_year = |part: &str| {
            part.len() == 4
                && (part.starts_with("19") || part.starts_with("20"))
                && part.bytes().all(|b| b.is_ascii_digit())
        };
        let numbers = word
            .split(['.', '/', '-', ':'])
            .filter(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
            .count();
        word.split(['.', '/', '-']).any(is_year) || (numbers >= 2 && (3..=8).contains(&digits)) || word.contains('年')
    })
}

#[cfg(test)]
mod tests {
    use super::{is_byline, is_invitation, is_nothing, is_related};

    #[test]
    fn short_texts_are_understood() {
        for text in ["Related articles", " More  from Science ", "Читайте также:", "関連記事"] {
            assert!(is_related(text), "{text}");
        }
        for text in ["ADVERTISEMENT", "1 of 6", "3", "Share"] {
            assert!(is_nothing(text), "{text}");
        }
        for text in ["By Jane Doe", "Nov 20, 2019", "20.11.2019", "05:14", "2019-11-20 by x", "2019年11月20日"] {
            assert!(is_byline(text), "{text}");
        }
        for text in
            ["A relation", "Advertisers leave", "He was born there", "Version 2.1 of it", "Three ways", "€ 149.00"]
        {
            assert!(!is_related(text) && !is_nothing(text) && !is_byline(text) && !is_invitation(text), "{text}");
        }
        assert!(is_invitation("Sign up for our newsletter"));
    }
}

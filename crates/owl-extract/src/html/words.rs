//! What the authors of a page say a part of it is: the words in its `class`, `id`, `role` and the like.
//!
//! Names are taken apart into words (`relatedPosts`, `related_posts` and `related-posts` are the same two) and each word is
//! looked up, so that `share` is not found in `shareholder`. No list knows a site.

use super::dom::{Dom, NodeId};

/// What the words say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// It says that it is no content: sharing, advertising, related pages, subscription …
    pub(super) boilerplate: bool,
    /// It says the same in a word that has other meanings.
    pub(super) doubtful: bool,
    /// It says that it stands beside the text: by whom, when, under which tags. Believed of small parts alone.
    pub(super) beside: bool,
    /// It says that it is the body of the text.
    pub(super) body: bool,
    /// It says that people answer each other here.
    pub(super) comments: bool,
    /// It says that it belongs to a picture.
    pub(super) media: bool,
    /// It says that it is for screen readers alone.
    pub(super) unseen: bool,
}

/// What is no content. Sorted.
const BOILERPLATE: &[&str] = &[
    "ad",
    "addthis",
    "addtoany",
    "ads",
    "adsbygoogle",
    "adsense",
    "adslot",
    "adunit",
    "adwrapper",
    "breadcrumb",
    "breadcrumbs",
    "complementary",
    "consent",
    "contentinfo",
    "cookie",
    "cookies",
    "crosslinks",
    "dfp",
    "editsection",
    "flyout",
    "footer",
    "gdpr",
    "lightbox",
    "masthead",
    "megamenu",
    "mostpopular",
    "mostread",
    "nav",
    "navbar",
    "navbox",
    "navigation",
    "newsletter",
    "newsletters",
    "noprint",
    "offcanvas",
    "outbrain",
    "pager",
    "pagination",
    "paging",
    "popup",
    "prevnext",
    "promo",
    "promos",
    "promoted",
    "recirc",
    "recirculation",
    "recommend",
    "recommendation",
    "recommendations",
    "recommended",
    "related",
    "share",
    "sharebar",
    "sharebox",
    "sharedaddy",
    "shareicons",
    "sharelinks",
    "sharer",
    "sharethis",
    "sharing",
    "sidebar",
    "siderail",
    "signin",
    "signup",
    "social",
    "socials",
    "spotim",
    "subnav",
    "subscribe",
    "subscription",
    "taboola",
    "topbar",
    "trending",
    "upsell",
    "webpush",
    "whatsapp",
    "yarpp",
    "zergnet",
];

/// What is no content as a rule, but may be the name of something that is: believed of parts without prose. Sorted.
const DOUBTFUL: &[&str] = &[
    "banner",
    "banners",
    "btn",
    "button",
    "buttons",
    "carousel",
    "copyright",
    "disclaimer",
    "donate",
    "donation",
    "drawer",
    "dropdown",
    "follow",
    "gpt",
    "jp",
    "login",
    "menu",
    "menus",
    "modal",
    "more",
    "overlay",
    "playlist",
    "popular",
    "print",
    "promotion",
    "readmore",
    "register",
    "rss",
    "skip",
    "slideshow",
    "toolbar",
    "tooltip",
    "utility",
    "widget",
    "widgets",
];

/// Beginnings of words that are no content.
const BOILERPLATE_BEGINNINGS: &[&str] = &[
    "advert",
    "breadcrumb",
    "comments",
    "mostpopular",
    "newsletter",
    "outbrain",
    "recommend",
    "related",
    "sidebar",
    "social",
    "sponsor",
    "subscri",
    "taboola",
    "trending",
];

/// What stands beside a text. Sorted.
const BESIDE: &[&str] = &[
    "about",
    "attribution",
    "author",
    "authorbox",
    "authors",
    "bio",
    "byline",
    "bylines",
    "cat",
    "categories",
    "category",
    "contributor",
    "contributors",
    "date",
    "dateline",
    "editor",
    "eyebrow",
    "hashtag",
    "hashtags",
    "info",
    "keywords",
    "kicker",
    "label",
    "labels",
    "meta",
    "metadata",
    "posted",
    "pubdate",
    "published",
    "rating",
    "readtime",
    "source",
    "stats",
    "tag",
    "taglist",
    "tags",
    "time",
    "timestamp",
    "toc",
    "topics",
    "updated",
    "views",
    "vote",
    "votes",
    "writer",
];

/// What belongs to a picture. Sorted.
const MEDIA: &[&str] = &[
    "caption",
    "captions",
    "credit",
    "credits",
    "figcaption",
    "galleries",
    "gallery",
    "imagecaption",
    "photocredit",
    "slider",
    "videoplayer",
];

/// Where people answer. Sorted.
const COMMENTS: &[&str] =
    &["comment", "commenting", "commentlist", "comments", "discussion", "disqus", "livefyre", "replies", "respond"];

/// Names of the body of a text, without what separates their words.
const BODY: &[&str] = &[
    "articlebody",
    "articlecontent",
    "articlecopy",
    "articledetail",
    "articlemain",
    "articletext",
    "blogcontent",
    "blogpost",
    "bodycontent",
    "bodycopy",
    "bodytext",
    "contentbody",
    "contenttext",
    "documentation",
    "entrybody",
    "entrycontent",
    "maincontent",
    "markdownbody",
    "mwparseroutput",
    "newsbody",
    "newscontent",
    "newstext",
    "pagecontent",
    "postbody",
    "postcontent",
    "posttext",
    "richtext",
    "storybody",
    "storycontent",
    "storycopy",
    "storytext",
    "textcontent",
];

/// Beside such a word, the others do not say what this part is: it *has* a sidebar, *no* comments.
const ABOUT_OTHERS: &[&str] = &[
    "closed", "disabled", "enabled", "has", "hide", "is", "js", "no", "non", "not", "off", "open", "show", "with",
    "without",
];

/// Beginnings of names that say what a text is about, not what it is.
const SUBJECTS: &[&str] = &["category-", "tag-", "topic-"];

/// What only screen readers get. Whole names.
const UNSEEN: &[&str] = &[
    "accessibilitytext",
    "assistivetext",
    "hiddenvisually",
    "offscreen",
    "screenreader",
    "screenreaderonly",
    "screenreadertext",
    "sronly",
    "usscreenreader",
    "visuallyhidden",
    "visuallyhide",
];

/// Longer values are generated by programs and say nothing.
const LONGEST_VALUE: usize = 400;

/// Reads what the attributes of an element say.
pub(super) fn hints(dom: &Dom, id: NodeId) -> Hints {
    let mut hints = Hints::default();
    let mut joined = String::new();
    for (name, value) in dom.attrs(id) {
        let says = matches!(
            name,
            "class" | "id" | "role" | "itemprop" | "rel" | "data-component" | "data-testid" | "data-module"
        );
        if says && value.len() <= LONGEST_VALUE {
            for name in value.split_ascii_whitespace() {
                read(name, &mut joined, &mut hints);
            }
        }
    }
    hints
}

/// Reads one name. `joined` is room to work in.
fn read(name: &str, joined: &mut String, hints: &mut Hints) {
    if SUBJECTS.iter().any(|beginning| name.starts_with(beginning)) {
        return;
    }
    joined.clear();
    let mut found = Hints::default();
    let (mut start, mut about_others, mut was_lower) = (0, false, false);
    for byte in name.bytes().chain([b' ']) {
        let ends = !byte.is_ascii_alphanumeric() || (was_lower && byte.is_ascii_uppercase());
        if ends && start < joined.len() {
            let word = &joined[start..];
            about_others |= ABOUT_OTHERS.contains(&word);
            look_up(word, &mut found);
            start = joined.len();
        }
        was_lower = byte.is_ascii_lowercase();
        if byte.is_ascii_alphanumeric() {
            joined.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    let body = BODY.contains(&joined.as_str());
    hints.unseen |= UNSEEN.contains(&joined.as_str());
    hints.body |= body;
    if !about_others && !body {
        hints.boilerplate |= found.boilerplate;
        hints.doubtful |= found.doubtful;
        hints.beside |= found.beside;
        hints.media |= found.media;
        hints.comments |= found.comments;
    }
}

fn look_up(word: &str, found: &mut Hints) {
    found.boilerplate |= BOILERPLATE.binary_search(&word).is_ok()
        || (word.len() > 5 && BOILERPLATE_BEGINNINGS.iter().any(|beginning| word.starts_with(beginning)));
    found.doubtful |= DOUBTFUL.binary_search(&word).is_ok();
    found.beside |= BESIDE.binary_search(&word).is_ok();
    found.media |= MEDIA.binary_search(&word).is_ok();
    found.comments |= COMMENTS.binary_search(&word).is_ok();
}

#[cfg(test)]
mod tests {
    use super::{BESIDE, BOILERPLATE, COMMENTS, DOUBTFUL, Hints, MEDIA, read};

    fn of(name: &str) -> Hints {
        let mut hints = Hints::default();
        read(name, &mut String::new(), &mut hints);
        hints
    }

    #[test]
    fn lists_that_are_searched_are_sorted() {
        for list in [BOILERPLATE, DOUBTFUL, BESIDE, MEDIA, COMMENTS] {
            for pair in list.windows(2) {
                assert!(pair[0] < pair[1], "{pair:?}");
            }
        }
    }

    #[test]
    fn words_are_found_in_names() {
        for name in ["related-posts", "relatedPosts", "related_posts", "relatedposts", "ShareBar", "share"] {
            assert!(of(name).boilerplate, "{name}");
        }
        for name in [
            "shareholder",
            "has-sidebar",
            "no-ads",
            "header",
            "loaded",
            "article-body",
            "category-social",
            "comments-open",
        ] {
            assert!(!of(name).boilerplate, "{name}");
        }
        for name in ["article-body", "articleBody", "entry-content", "post__content", "main-content"] {
            assert!(of(name).body, "{name}");
        }
        assert!(of("comment-list").comments && of("post-author").beside && of("sr-only").unseen);
    }
}

//! The templates of a search engine that answers in JSON: texts with places for what was searched for.

use super::tools::ENGINE_PLACES;

/// What is wrong, and what to write instead.
pub(crate) type Wrong = (String, String);

/// The places in a template, in order.
///
/// # Errors
/// A brace that begins or ends no place, or a place that there is not.
pub(crate) fn places(text: &str) -> Result<Vec<&'static str>, Wrong> {
    let known = || ENGINE_PLACES.map(|place| format!("{{{place}}}")).join(", ");
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(brace) = rest.find(['{', '}']) {
        let inner = rest[brace..].strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let Some((name, after)) = inner else {
            return Err(("this brace belongs to no place".to_owned(), format!("the places are {}", known())));
        };
        match ENGINE_PLACES.iter().find(|place| **place == name) {
            Some(place) => found.push(*place),
            None => return Err(("there is no such place".to_owned(), format!("the places are {}", known()))),
        }
        rest = after;
    }
    Ok(found)
}

/// Whether the text is a JSON Pointer (RFC 6901).
///
/// # Errors
/// What is wrong and what to write instead.
pub(crate) fn check_pointer(text: &str) -> Result<(), Wrong> {
    let help = || "write the keys on the way, each behind a slash: \"/source/title\"; in a key, `~1` is a slash and `~0` a tilde";
    if !text.is_empty() && !text.starts_with('/') {
        return Err(("a JSON Pointer begins with a slash".to_owned(), help().to_owned()));
    }
    let escaped = |rest: &str| rest.starts_with('0') || rest.starts_with('1');
    if text.split('~').skip(1).any(|rest| !escaped(rest)) {
        return Err(("in a JSON Pointer, only 0 or 1 follows a tilde".to_owned(), help().to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_and_others_refused() {
        let check = |text: &str, expect: Option<&[&str]>| {
            assert_eq!(places(text).ok().as_deref(), expect, "{text}");
        };
        check("", Some(&[]));
        check("search?q={query}&n={count}", Some(&["query", "count"]));
        check("{query}{query}", Some(&["query", "query"]));
        for wrong in ["{", "}", "{}", "{q}", "{Query}", "{query", "query}", "{{query}}", "{query }", "a}b{query}"] {
            check(wrong, None);
        }
        for place in ENGINE_PLACES {
            check(&format!("{{{place}}}"), Some(&[place]));
        }
    }

    #[test]
    fn pointers() {
        for right in ["", "/", "/a", "/a/0/b", "/a~0b~1c"] {
            assert_eq!(check_pointer(right), Ok(()), "{right}");
        }
        for wrong in ["a", "a/b", "$.hits", "/a~", "/a~2", "/~~0"] {
            assert!(check_pointer(wrong).is_err(), "{wrong}");
        }
    }
}

//! What a request asks for, read from its JSON body without building a tree, and the body with another model's name.
//!
//! Keys are compared decoded (`"mod\u0065l"` is `model`). A key that Owl acts on must occur once: of two, the server
//! behind might read the other one. Some servers match keys whatever their case (Go's `encoding/json` does, so Ollama),
//! so for this rule `Model` counts as a second `model`; alone, it is just an unknown key.
//!
//! The values are not judged beyond what is needed to route: that is the server's business.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::json::{self, JsonError, Member, Position};

/// The top-level keys that must not occur twice.
const ACTED_ON: [&str; 2] = ["model", "stream"];
const MODEL: usize = 0;
const STREAM: usize = 1;

/// What Owl acts on in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFacts<'a> {
    /// The model, if the body names one.
    pub model: Option<Model<'a>>,
    /// Whether the answer is asked for as a stream; `None` when the body does not say `true` or `false`.
    pub stream: Option<bool>,
    /// Whether there may be a URL that a server would fetch: only then is [`crate::media::scan`] worth its time.
    pub media: bool,
}

/// The model that a body names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model<'a> {
    /// Its name, decoded.
    pub name: Cow<'a, str>,
    /// What [`splice`] replaces: in JSON the string token with its quotes, in a form the field's content.
    pub span: Range<usize>,
}

impl<'a> RequestFacts<'a> {
    /// Checks that `body` is one JSON object and reads the facts from its top level.
    pub fn scan(body: &'a [u8]) -> Result<Self, JsonError> {
        let mut facts = Self::default();
        let mut seen = [false; ACTED_ON.len()];
        facts.media = json::scan_object(body, |member| {
            let Some((index, exact)) = acted_on(member.key) else { return Ok(()) };
            if std::mem::replace(&mut seen[index], true) {
                let position = Position::of(body, member.key_span.start);
                return Err(JsonError::DuplicateKey { key: ACTED_ON[index], position });
            }
            match index {
                MODEL if exact => facts.model = Some(read_model(body, &member)?),
                STREAM if exact => facts.stream = read_bool(&body[member.value]),
                _ => {}
            }
            Ok(())
        })?;
        Ok(facts)
    }
}

/// Which key that Owl acts on this is, and whether it is spelt exactly so.
fn acted_on(key: &str) -> Option<(usize, bool)> {
    let key = json::decode(key)?;
    let index = ACTED_ON.iter().position(|name| folds_to(&key, name))?;
    Some((index, key == ACTED_ON[index]))
}

/// Whether a reader that ignores case would take `key` for `name`: Unicode folds "ſ" to "s".
fn folds_to(key: &str, name: &str) -> bool {
    key.len() >= name.len()
        && key.chars().map(|char| if char == 'ſ' { 's' } else { char.to_ascii_lowercase() }).eq(name.chars())
}

fn read_model<'a>(body: &'a [u8], member: &Member<'a>) -> Result<Model<'a>, JsonError> {
    let span = member.value.clone();
    let fault = || JsonError::ModelNotAString { position: Position::of(body, span.start) };
    let token = body.get(span.start + 1..span.end - 1).filter(|_| body[span.start] == b'"').ok_or_else(fault)?;
    let name = std::str::from_utf8(token).ok().and_then(json::decode).ok_or_else(fault)?;
    Ok(Model { name, span })
}

fn read_bool(token: &[u8]) -> Option<bool> {
    match token {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// `body` with the string token at `span` replaced by `new_model`. Every other byte stays; `span` is a
/// [`Model::span`] of that same body.
///
/// # Panics
/// When `span` does not lie in `body`.
pub fn splice(body: &Bytes, span: Range<usize>, new_model: &str) -> Bytes {
    splice_raw(body, span, &json::encode(new_model))
}

/// `body` with the bytes at `span` replaced; not copied when nothing changes.
pub(crate) fn splice_raw(body: &Bytes, span: Range<usize>, new: &[u8]) -> Bytes {
    if &body[span.clone()] == new {
        return body.clone();
    }
    let mut spliced = Vec::with_capacity(body.len() - span.len() + new.len());
    spliced.extend_from_slice(&body[..span.start]);
    spliced.extend_from_slice(new);
    spliced.extend_from_slice(&body[span.end..]);
    spliced.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expect: Result<(Option<&str>, Option<bool>), &str>) {
        let seen = RequestFacts::scan(body.as_bytes());
        let seen = seen.map(|facts| (facts.model.map(|model| model.name.into_owned()), facts.stream));
        let expect = expect.map(|(model, stream)| (model.map(String::from), stream)).map_err(String::from);
        assert_eq!(seen.map_err(|error| error.to_string()), expect, "{body}");
    }

    #[test]
    fn facts() {
        check("{}", Ok((None, None)));
        check(r#"{"model":"a","stream":true}"#, Ok((Some("a"), Some(true))));
        check(r#"{"stream" : false , "mod\u0065l" : "\u00e9\ud83e\udd89\/" }"#, Ok((Some("é🦉/"), Some(false))));
        check(r#"{"stream":null,"model":""}"#, Ok((Some(""), None)));
        check(r#"{"stream":"true","nested":{"model":"b","model":"c"}}"#, Ok((None, None)));
        check(r#"{"Model":"a","unknown":1,"unknown":2}"#, Ok((None, None)));
        check(r#"{"tools":[],"tools":[],"messages":[],"messages":[]}"#, Ok((None, None)));
    }

    #[test]
    fn two_of_a_key_that_owl_acts_on() {
        let second = |column: usize| format!("twice, the second time at line 1, column {column} (byte {})", column - 1);
        for (body, key, column) in [
            (r#"{"model":"a","model":"a"}"#, "model", 14),
            (r#"{"model":"a","mod\u0065l":"b"}"#, "model", 14),
            (r#"{"model":"a","MODEL":"b"}"#, "model", 14),
            (r#"{"ſtream":true,"stream":false}"#, "stream", 16),
        ] {
            let error = RequestFacts::scan(body.as_bytes()).expect_err(body);
            assert!(matches!(error, JsonError::DuplicateKey { key: seen, .. } if seen == key), "{error}");
            if body.is_ascii() {
                assert!(error.to_string().ends_with(&second(column)), "{error}");
            }
        }
    }

    #[test]
    fn the_model_must_be_a_string() {
        for value in ["1", "null", "[]", "{\"a\":1}", "true", r#""\ud800""#] {
            let expect = "\"model\" is not a string at line 1, column 10 (byte 9)";
            check(&format!("{{\"model\":{value}}}"), Err(expect));
        }
    }

    #[test]
    fn only_the_token_is_replaced() {
        let body = Bytes::from_static(br#"{ "t":1.0, "model" :  "owl/a" ,"n":9223372036854775808}"#);
        let span = RequestFacts::scan(&body).expect("valid").model.expect("named").span;
        let spliced = splice(&body, span.clone(), "a \"b\"\n");
        assert_eq!(spliced, &br#"{ "t":1.0, "model" :  "a \"b\"\n" ,"n":9223372036854775808}"#[..]);
        assert_eq!(splice(&body, span, "owl/a").as_ptr(), body.as_ptr(), "not copied when nothing changes");
    }
}

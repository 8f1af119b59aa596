//! Sifts the tree through the schema: every key must be known, every value of the right type.
//!
//! What comes out is JSON that deserializes into [`RawConfig`](super::raw::RawConfig) and holds everything that was right, so
//! that the checks after this one can report their problems too. On the way `${VARIABLE}` is replaced in every text.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value as Json};

use super::egress::OPENING_KEYS;
use super::env::{Environment, substitute};
use super::json5::{Member, Node, Value};
use super::problem::{KeyPath, Origin, Reporter, spelt};
use super::schema::{alternatives, resolve, schema};
use super::show::inline;

/// What is right in a tree.
pub(crate) struct Sifted {
    /// The JSON to deserialize; a list's refused elements are `null`.
    pub(crate) json: Json,
    /// The variables that texts were made of.
    pub(crate) variables: BTreeMap<KeyPath, Vec<String>>,
}

/// Reports everything that is wrong in `tree`, and returns the rest.
pub(crate) fn sift(tree: &Node, environment: &Environment, reporter: &mut Reporter<'_>) -> Sifted {
    report_strangers(tree, &KeyPath::default(), reporter);
    let mut sieve = Sieve { root: schema(), environment, reporter, variables: BTreeMap::new() };
    let json = sieve.value(tree, sieve.root, &KeyPath::default());
    Sifted { json: json.unwrap_or_else(|| Json::Object(Map::new())), variables: sieve.variables }
}

/// The same for one value and one schema, without the search for duplicates.
#[cfg(test)]
pub(crate) fn sift_as(
    node: &Node,
    schema_of_it: &'static Json,
    environment: &Environment,
    reporter: &mut Reporter<'_>,
) -> Option<Json> {
    let mut sieve = Sieve { root: schema(), environment, reporter, variables: BTreeMap::new() };
    sieve.value(node, schema_of_it, &KeyPath::default())
}

/// Duplicate keys, and the key that Owl does not have any more, wherever they stand.
fn report_strangers(node: &Node, path: &KeyPath, reporter: &mut Reporter<'_>) {
    match &node.value {
        Value::Object(members) => {
            let mut first = HashMap::new();
            for member in members {
                let path = path.key(&member.key);
                if let Some(earlier) = first.insert(&member.key, member.origin) {
                    let help = format!("the first one is at {}: keep one of the two", reporter.place(earlier));
                    reporter.report(member.origin, &path, "this key is written twice", help);
                }
                if member.key == "gatewayMode" {
                    let help = "remove it; for a server on a private network write `allowPrivateNetwork: true` on its provider";
                    reporter.report(member.origin, &path, "`gatewayMode` is gone", help);
                }
                report_strangers(&member.node, &path, reporter);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                report_strangers(element, &path.index(index), reporter);
            }
        }
        _ => {}
    }
}

struct Sieve<'a, 'b> {
    root: &'a Json,
    environment: &'a Environment,
    reporter: &'a mut Reporter<'b>,
    variables: BTreeMap<KeyPath, Vec<String>>,
}

impl<'a> Sieve<'a, '_> {
    fn value(&mut self, node: &Node, schema: &'a Json, path: &KeyPath) -> Option<Json> {
        let fitting: Vec<&Json> =
            alternatives(self.root, schema).into_iter().filter(|choice| fits(choice, &node.value)).collect();
        if fitting.is_empty() {
            let (message, help) = wrong_type(self.root, schema, &node.value);
            self.reporter.report(node.origin, path, message, help);
            return None;
        }
        match &node.value {
            Value::Null => None,
            Value::Bool(flag) => Some(Json::Bool(*flag)),
            Value::Number(number) => self.number(*number, fitting[0], node.origin, path),
            Value::String(text) => self.text(text, schema, node.origin, path),
            Value::Array(elements) => self.list(elements, fitting[0], node.origin, path),
            Value::Object(_) if is_any(fitting[0]) => self.any(node, path),
            Value::Object(members) => {
                let choice = self.choose(members, &fitting, node.origin, path)?;
                self.object(members, choice, node.origin, path)
            }
        }
    }

    fn number(&mut self, number: f64, schema: &Json, origin: Origin, path: &KeyPath) -> Option<Json> {
        let limit = |name| schema.get(name).and_then(Json::as_f64);
        let least = limit("minimum").unwrap_or(0.0);
        let most = limit("maximum").unwrap_or(LARGEST_WHOLE);
        if number.fract() == 0.0 && number >= least && number <= most {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole, not negative, within 2^53"
            )]
            return Some(Json::from(number as u64));
        }
        let help = format!("write a whole number from {least} to {most}");
        self.reporter.report(origin, path, "this number is not allowed here", help);
        None
    }

    fn text(&mut self, text: &str, schema: &Json, origin: Origin, path: &KeyPath) -> Option<Json> {
        let text = match origin {
            Origin::Flag(_) | Origin::Variable(_) => text.to_owned(),
            Origin::File { .. } => match substitute(text, self.environment) {
                Ok((text, names)) => {
                    if !names.is_empty() {
                        self.variables.insert(path.clone(), names);
                    }
                    text
                }
                Err(errors) => {
                    for (message, help) in errors {
                        self.reporter.report(origin, path, message, help);
                    }
                    return None;
                }
            },
        };
        let choices = alternatives(self.root, schema);
        let texts = choices.iter().filter(|choice| choice.get("type").and_then(Json::as_str) == Some("string"));
        let words: Vec<&str> = texts.flat_map(|choice| words(choice)).collect();
        if words.is_empty() || words.contains(&text.as_str()) {
            return Some(Json::String(text));
        }
        let help = match choices.iter().find_map(|choice| tag(choice).filter(|tag| *tag == text)) {
            Some(tag) => format!("write {{ type: {tag:?}, … }}"),
            None if choices.iter().any(|choice| choice.get("type").and_then(Json::as_str) == Some("boolean")) => {
                format!("write true, false or {words:?}").replace(['[', ']'], "")
            }
            None => one_of(&text, &words, |word| format!("{word:?}")),
        };
        self.reporter.report(origin, path, "this word is not known here", help);
        None
    }

    /// What is for somebody else to understand: any JSON, in whose texts variables are filled in all the same.
    fn any(&mut self, node: &Node, path: &KeyPath) -> Option<Json> {
        match &node.value {
            Value::Null => Some(Json::Null),
            Value::Bool(flag) => Some(Json::Bool(*flag)),
            Value::Number(number) => {
                #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
                let whole =
                    (number.fract() == 0.0 && number.abs() <= LARGEST_WHOLE).then(|| Json::from(*number as i64));
                // JSON has no infinity.
                Some(whole.unwrap_or_else(|| Json::from(*number)))
            }
            Value::String(text) => self.text(text, &STRING, node.origin, path),
            Value::Array(elements) => {
                let element = |(index, node)| self.any(node, &path.index(index)).unwrap_or(Json::Null);
                Some(Json::Array(elements.iter().enumerate().map(element).collect()))
            }
            Value::Object(members) => {
                let mut out = Map::new();
                for member in members {
                    if let Some(value) = self.any(&member.node, &path.key(&member.key)) {
                        out.insert(member.key.clone(), value);
                    }
                }
                Some(Json::Object(out))
            }
        }
    }

    fn list(&mut self, elements: &[Node], schema: &'a Json, origin: Origin, path: &KeyPath) -> Option<Json> {
        let items = &schema["items"];
        if schema.get("minItems").is_some() && elements.is_empty() {
            self.reporter.report(origin, path, "this list is empty", example(schema));
            return None;
        }
        let element = |(index, node)| self.value(node, items, &path.index(index)).unwrap_or(Json::Null);
        Some(Json::Array(elements.iter().enumerate().map(element).collect()))
    }

    /// Which of several kinds of object was meant: by `type` where there is one, else by the keys that are required.
    fn choose(&mut self, members: &[Member], choices: &[&'a Json], origin: Origin, path: &KeyPath) -> Option<&'a Json> {
        if let [only] = choices
            && tag(only).is_none()
        {
            return Some(only);
        }
        let tagged: Vec<(&str, &Json)> = choices.iter().filter_map(|choice| Some((tag(choice)?, *choice))).collect();
        if tagged.is_empty() {
            let named = |choice: &&Json| required(choice).all(|key| members.iter().any(|member| member.key == key));
            let found = choices.iter().copied().find(named);
            if found.is_none() {
                let help = choices.iter().filter_map(|choice| {
                    let key = required(choice).next()?;
                    Some(format!(
                        "`{{ {}: {} }}`",
                        spelt(key),
                        inline(choice["properties"][key].pointer("/examples/0")?)
                    ))
                });
                let help = format!("write {}", help.collect::<Vec<_>>().join(" or "));
                self.reporter.report(origin, path, "no key says what this is", help);
            }
            return found;
        }
        let path = path.key("type");
        let words: Vec<&str> = tagged.iter().map(|(word, _)| *word).collect();
        let Some(member) = members.iter().find(|member| member.key == "type") else {
            let help = match words.as_slice() {
                [only] => format!("write `type: {only:?}`"),
                words => one_of("", words, |word| format!("`type: {word:?}`")),
            };
            self.reporter.report(origin, &path, "this key is missing", help);
            return None;
        };
        let Json::String(word) = self.value(&member.node, &STRING, &path)? else { return None };
        let found = tagged.iter().find(|(name, _)| *name == word).map(|(_, choice)| *choice);
        if found.is_none() {
            let help = one_of(&word, &words, |word| format!("{word:?}"));
            self.reporter.report(member.node.origin, &path, "this word is not known here", help);
        }
        found
    }

    fn object(&mut self, members: &[Member], schema: &'a Json, origin: Origin, path: &KeyPath) -> Option<Json> {
        let properties = schema.get("properties").and_then(Json::as_object);
        let any_key = schema.get("additionalProperties").filter(|additional| additional.is_object());
        let mut out = Map::new();
        for member in members {
            let path_of_key = path.key(&member.key);
            match properties.and_then(|properties| properties.get(&member.key)).or(any_key) {
                Some(known) if !out.contains_key(&member.key) => {
                    if let Some(value) = self.value(&member.node, known, &path_of_key) {
                        out.insert(member.key.clone(), value);
                    }
                }
                None if member.key != "gatewayMode" => self.unknown(member, properties, path),
                _ => {}
            }
        }
        let mut complete = true;
        for key in required(schema).filter(|key| !out.contains_key(*key)) {
            complete = false;
            let path = path.key(key);
            if !self.reporter.is_broken(&path) {
                let mut help = written(key, &schema["properties"][key]);
                if path == KeyPath::of("models.providers.owl.baseUrl") {
                    help += ", or set OWL_BASE_URL";
                }
                self.reporter.report(origin, &path, "this key is missing", help);
            }
        }
        complete.then_some(Json::Object(out))
    }

    fn unknown(&mut self, member: &Member, properties: Option<&Map<String, Json>>, path: &KeyPath) {
        if *path == KeyPath::of("egress") && OPENING_KEYS.contains(&member.key.as_str()) {
            let message = "nothing is opened here: `egress` holds for every URL, whoever wrote it";
            let help = "write it where it belongs: in a provider (`models.providers.<id>`) for its own address, in `gateway` for URLs that \
                        clients put into requests, or in a tool (`tools.web.fetch`, `tools.web.search`, `tools.image`)";
            self.reporter.report(member.origin, &path.key(&member.key), message, help);
            return;
        }
        let known: Vec<&str> = properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        if let Some(meant) = nearest(&member.key, &known) {
            self.reporter.mark_broken(path.key(meant));
        }
        let help = one_of(&member.key, &known, |key| format!("`{}`", spelt(key)));
        self.reporter.report(member.origin, &path.key(&member.key), "this key is not known here", help);
    }
}

/// The largest whole number that every JSON reader understands.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_991.0;

static STRING: std::sync::LazyLock<Json> = std::sync::LazyLock::new(|| serde_json::json!({ "type": "string" }));

/// Whether any JSON object may stand there.
fn is_any(schema: &Json) -> bool {
    schema.get("x-type").and_then(Json::as_str) == Some("JSON object")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn fits(schema: &Json, value: &Value) -> bool {
    let name = schema.get("type").and_then(Json::as_str);
    match value {
        Value::Null => false,
        Value::Bool(_) => name == Some("boolean"),
        Value::Number(_) => matches!(name, Some("integer" | "number")),
        Value::String(_) => name == Some("string"),
        Value::Array(_) => name == Some("array"),
        Value::Object(_) => name == Some("object"),
    }
}

fn wrong_type(root: &Json, schema: &Json, value: &Value) -> (String, String) {
    let resolved = resolve(root, schema);
    if let (Value::Number(number), Some(kind)) = (value, resolved.get("x-type").and_then(Json::as_str)) {
        let units = format!("write \"{number}s\", or with another of ms, s, m, h, d");
        match kind {
            "rate" => return ("a rate needs a unit".to_owned(), format!("write \"{number}/min\" or \"{number}/s\"")),
            kind if kind.starts_with("duration") => return ("a duration needs a unit".to_owned(), units),
            _ => {}
        }
    }
    if let Value::Null = value {
        return ("`null` stands for nothing here".to_owned(), "remove the key, or give it a value".to_owned());
    }
    let mut wanted: Vec<&str> = Vec::new();
    for choice in alternatives(root, schema) {
        let name = match choice.get("type").and_then(Json::as_str) {
            Some("boolean") => "true or false",
            Some("integer" | "number") => "a number",
            Some("string") => "a text",
            Some("array") => "a list",
            _ => "an object",
        };
        if !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    let help = [schema, resolved].iter().map(|schema| example(schema)).find(|help| !help.is_empty());
    (format!("expected {}, found {}", wanted.join(" or "), kind(value)), help.unwrap_or_default())
}

/// "for example `…`", from the schema.
fn example(schema: &Json) -> String {
    match schema.pointer("/examples/0") {
        Some(example) => format!("for example {}", inline(example)),
        None => String::new(),
    }
}

/// "write `key: …`", with the schema's example.
fn written(key: &str, schema: &Json) -> String {
    match schema.pointer("/examples/0") {
        Some(example) => format!("write `{}: {}`", spelt(key), inline(example)),
        None => format!("write `{}: …`", spelt(key)),
    }
}

fn required(schema: &Json) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

fn tag(schema: &Json) -> Option<&str> {
    schema.pointer("/properties/type/const").and_then(Json::as_str)
}

fn words(schema: &Json) -> Vec<&str> {
    let several = schema.get("enum").and_then(Json::as_array).into_iter().flatten();
    several.chain(schema.get("const")).filter_map(Json::as_str).collect()
}

/// "did you mean …?" or the whole choice.
fn one_of(found: &str, known: &[&str], write: impl Fn(&str) -> String) -> String {
    match nearest(found, known) {
        Some(meant) => format!("did you mean {}?", write(meant)),
        None if known.len() == 1 => format!("only {} is", write(known[0])),
        None => format!("write one of {}", known.iter().map(|word| write(word)).collect::<Vec<_>>().join(", ")),
    }
}

/// The known word that was most likely meant: `base_url` and `baseurl` are `baseUrl`.
pub(crate) fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    if found.len() > 64 {
        return None;
    }
    let plain = |word: &str| word.to_lowercase().replace(['_', '-', ' '], "");
    let found = plain(found);
    let distance = |word: &str| strsim::damerau_levenshtein(&found, &plain(word));
    let best = known.iter().copied().min_by_key(|word| distance(word))?;
    (distance(best) <= best.len() / 3).then_some(best)
}

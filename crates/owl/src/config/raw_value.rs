//! The values that keys hold, as they were typed: secrets, URLs with credentials, durations, sizes, lists.

use std::borrow::Cow;

use owl_egress::{Secret, TargetUrl};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a secret comes from.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawSecret {
    Literal(RawLiteral),
    File(RawSecretFile),
    Command(RawSecretCommand),
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSecretFile {
    /// The file whose content is the secret, without the line break at its end. Relative paths start at the configuration's
    /// folder.
    #[schemars(example = &"/run/secrets/owl")]
    pub(crate) file: String,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSecretCommand {
    /// The program and its arguments. What it prints is the secret, without the line break at its end. No shell is involved.
    #[schemars(length(min = 1), example = ["vault", "read", "-field=key", "secret/owl"])]
    pub(crate) command: List<String>,
}

/// A secret in the text itself. It is written back as `****`.
#[derive(Clone)]
pub(crate) struct RawLiteral(pub(crate) Secret);

impl<'de> Deserialize<'de> for RawLiteral {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl Serialize for RawLiteral {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("****")
    }
}

impl JsonSchema for RawLiteral {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// A base URL, which may hold `user:password@`. It is written back without that.
pub(crate) struct RawBaseUrl(pub(crate) Secret);

impl<'de> Deserialize<'de> for RawBaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl Serialize for RawBaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match TargetUrl::parse_operator(self.0.expose()) {
            Ok((url, _)) => serializer.collect_str(&url),
            Err(_) => serializer.serialize_str("****"),
        }
    }
}

impl JsonSchema for RawBaseUrl {
    fn schema_name() -> Cow<'static, str> {
        "BaseUrl".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// `"500ms"`, `"5s"`, `"2m"`, `"1h"`.
#[derive(Serialize, Deserialize)]
pub(crate) struct RawDuration(pub(crate) String);

impl RawDuration {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl JsonSchema for RawDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[0-9]+(ms|s|m|h|d)$|\$\{", "x-type": "duration" })
    }
}

/// A duration or `"unlimited"`.
#[derive(Serialize, Deserialize)]
pub(crate) struct RawPatience(pub(crate) String);

impl JsonSchema for RawPatience {
    fn schema_name() -> Cow<'static, str> {
        "Patience".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = r"^([0-9]+(ms|s|m|h|d)|unlimited)$|\$\{";
        json_schema!({ "type": "string", "pattern": pattern, "x-type": "duration or `\"unlimited\"`" })
    }
}

/// `"64MiB"`, `"1GB"`, or a number of bytes.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum RawSize {
    Bytes(u64),
    Text(String),
}

impl JsonSchema for RawSize {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "pattern": r"^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)$|\$\{" },
                { "type": "integer", "minimum": 0 },
            ],
            "x-type": "size",
        })
    }
}

/// A list whose elements remember their places: one that was refused leaves a `null`, and the others keep their index.
#[derive(Clone)]
pub(crate) struct List<T>(Vec<(usize, T)>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> List<T> {
    /// A list of one.
    pub(crate) fn one(element: T) -> Self {
        Self(vec![(0, element)])
    }

    /// The elements, each with its index in the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.0.iter().map(|(index, element)| (*index, element))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops the elements at these indices.
    pub(crate) fn remove(&mut self, indices: &[usize]) {
        self.0.retain(|(index, _)| !indices.contains(index));
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let elements = Vec::<Option<T>>::deserialize(deserializer)?.into_iter().enumerate();
        Ok(Self(elements.filter_map(|(index, element)| Some((index, element?))).collect()))
    }
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(_, element)| element))
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("List_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<T>::json_schema(generator)
    }
}

//! The answer to `GET /models`: which models a server has. Each model's object is kept as it was written, so that it can be
//! listed again under another name with nothing lost.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json;

/// One model, as its server describes it.
#[derive(Clone, Debug)]
pub struct ModelObject {
    id: String,
    raw: Box<RawValue>,
    id_span: Range<usize>,
}

impl ModelObject {
    /// The model's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The object with another name, and everything else as the server wrote it.
    pub fn with_id(&self, id: &str) -> Box<RawValue> {
        let raw = self.raw.get();
        let id = serde_json::to_string(id).expect("a string always has a JSON form");
        let spliced = [&raw[..self.id_span.start], &id, &raw[self.id_span.end..]].concat();
        RawValue::from_string(spliced).expect("a string replaced by a string leaves JSON valid")
    }

    fn read(raw: &RawValue) -> Option<Self> {
        let [span] = json::find_members(raw.get().as_bytes(), ["id"]).ok()?;
        let id_span = span?;
        let id = serde_json::from_str(&raw.get()[id_span.clone()]).ok()?;
        Some(Self { id, raw: raw.to_owned(), id_span })
    }
}

/// The answer is not a list of models.
#[derive(Debug)]
pub struct NotAModelList(serde_json::Error);

impl fmt::Display for NotAModelList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is not a list of models")
    }
}

impl std::error::Error for NotAModelList {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Reads the models out of `{"data":[…]}`, or out of a bare array, which some servers send. An entry without an `id` that
/// is a string is left out.
pub fn read_models(body: &[u8]) -> Result<Vec<ModelObject>, NotAModelList> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
    }
    let is_array = body.trim_ascii_start().starts_with(b"[");
    let entries = if is_array {
        serde_json::from_slice(body)
    } else {
        serde_json::from_slice(body).map(|envelope: Envelope<'_>| envelope.data)
    };
    let entries = entries.map_err(NotAModelList)?;
    Ok(entries.into_iter().filter_map(ModelObject::read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_keep_their_bytes() {
        let body = br#"{"object":"list","new":1,"data":[ {"created":1.0, "id" : "a\/b","permission":[{"id":"x"}]},
            {"id":"b","max_model_len":32768}, {"object":"model"}, {"id":7}, "c" ]}"#;
        let models = read_models(body).expect("a list");
        let ids: Vec<_> = models.iter().map(ModelObject::id).collect();
        assert_eq!(ids, ["a/b", "b"]);
        assert_eq!(models[1].raw.get(), r#"{"id":"b","max_model_len":32768}"#);
        let renamed = models[0].with_id("owl/\"a\"");
        assert_eq!(renamed.get(), r#"{"created":1.0, "id" : "owl/\"a\"","permission":[{"id":"x"}]}"#);
    }

    #[test]
    fn other_shapes() {
        assert_eq!(read_models(br#" [{"id":"a"}]"#).map(|models| models.len()).ok(), Some(1));
        assert_eq!(read_models(br#"{"data":[]}"#).map(|models| models.len()).ok(), Some(0));
        for body in ["", "<html>", "{}", r#"{"data":null}"#, "[1"] {
            let error = read_models(body.as_bytes()).expect_err(body);
            assert_eq!(error.to_string(), "the answer is not a list of models");
        }
    }
}

//! What a call says: read strictly, so that a misspelt argument is an error and not silence.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::ToolError;

/// Reads the arguments into the tool's own type, which denies unknown fields.
///
/// # Errors
/// `invalid_arguments`; the message names the argument.
pub(super) fn read<T: DeserializeOwned>(arguments: &Map<String, Value>) -> Result<T, ToolError> {
    // A model that has nothing to say of an argument often says null.
    let said = arguments.iter().filter(|(_, value)| !value.is_null());
    let said: Map<String, Value> = said.map(|(name, value)| (name.clone(), value.clone())).collect();
    serde_json::from_value(Value::Object(said)).map_err(|error| ToolError::arguments(error.to_string()))
}

/// `allowPrivateNetwork` where the operator opened nothing private.
pub(super) fn nothing_private(key: &str) -> ToolError {
    ToolError::arguments(
        "allowPrivateNetwork is not an argument here: the operator opened nothing private for this tool",
    )
    .hint(format!("the keys that open something stand in {key}"))
}

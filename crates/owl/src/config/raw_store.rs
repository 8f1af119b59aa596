//! The key `store`, as it was typed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::raw_value::{RawDuration, RawSize};

/// A path, or a path with limits.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawStore {
    Path(String),
    Table(RawStoreTable),
}

/// The file, and how much it keeps.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawStoreTable {
    /// The file, or `"none"`. Relative paths start at the configuration's folder. Without it: `owl.db` in the state folder, which is
    /// `$STATE_DIRECTORY` (systemd sets it), `$XDG_STATE_HOME/owl` or `~/.local/state/owl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/var/lib/owl/owl.db")]
    pub(crate) path: Option<String>,
    /// How old a record may become, at most `"3650d"`.
    #[schemars(example = &"30d")]
    pub(crate) max_age: RawDuration,
    /// How long a response of the Responses API is kept after it was last gone on from, at most `"3650d"`. Responses have half of
    /// `maxSize` at most; the oldest make room.
    #[schemars(example = &"7d")]
    pub(crate) responses_max_age: RawDuration,
    /// How large the file may become; from 1MiB to 1024GiB.
    #[schemars(example = &"200MiB")]
    pub(crate) max_size: RawSize,
}

impl Default for RawStoreTable {
    fn default() -> Self {
        Self {
            path: None,
            max_age: RawDuration::new("90d"),
            responses_max_age: RawDuration::new("30d"),
            max_size: RawSize::Text("1GiB".to_owned()),
        }
    }
}

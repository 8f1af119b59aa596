//! The keys of the agent loop, as they were typed: what it may cost, what it offers unasked, and what servers get wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::raw_value::{List, RawDuration, RawSize};

/// What the tools that a model calls may cost, for each answer. When it is used up, the model is told so and has to answer with what
/// it has.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawBudget {
    /// How many turns of the model may use tools.
    #[schemars(range(min = 1, max = 1_000), example = 8)]
    pub(crate) steps: u32,
    /// How many calls of tools there may be, refused and failed ones included.
    #[schemars(range(min = 1, max = 10_000), example = 32)]
    pub(crate) calls: u32,
    /// How many calls run at a time.
    #[schemars(range(min = 1, max = 256), example = 4)]
    pub(crate) parallel: usize,
    /// How long all turns with tools may take together.
    #[schemars(example = &"2m")]
    pub(crate) timeout: RawDuration,
    /// How much the results may hold together; from 1KiB to 1GiB.
    #[schemars(example = &"512KiB")]
    pub(crate) result_bytes: RawSize,
}

impl Default for RawBudget {
    fn default() -> Self {
        Self {
            steps: 16,
            calls: 64,
            parallel: 8,
            timeout: RawDuration::new("5m"),
            result_bytes: RawSize::Text("1MiB".to_owned()),
        }
    }
}

/// The tools of Owl's that are offered without the client's asking.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawAutoTools {
    /// The tools that every chat completion, response and message offers to the model: `web_search`, `web_fetch`, `image`. A function
    /// of the client's with the same name stands in its place. A tool that is switched off is not offered.
    #[schemars(example = ["web_search", "web_fetch"])]
    pub(crate) auto: List<String>,
}

/// Whether the server has an API.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawApi {
    #[default]
    Auto,
    Native,
    Chat,
}

/// `"auto"`, or what the server gets wrong.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RawCompat {
    Word(RawCompatWord),
    Table(Box<RawCompatTable>),
}

impl Default for RawCompat {
    fn default() -> Self {
        Self::Word(RawCompatWord::Auto)
    }
}

/// The word in place of flags.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawCompatWord {
    Auto,
}

/// What the server gets wrong; `owl check` finds out. It counts where Owl reads a chat completion: for its tools, and for the APIs that it
/// builds on one. Requests that are forwarded are not touched, unless `forwarding` says so.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RawCompatTable {
    /// How calls of functions stand in the text: `"auto"`, `"off"`, `"hermes"`, `"mistral"`, `"llama"`.
    #[schemars(example = &"hermes")]
    pub(crate) tool_calls: RawTextCalls,
    /// How reasoning stands in the text: `"auto"`: inside `<think>`; `"off"`; `"open"`: the text begins inside it.
    #[schemars(example = &"open")]
    pub(crate) reasoning: RawTextReasoning,
    /// Whether the server knows the role `developer`; otherwise it becomes `system`.
    #[schemars(example = false)]
    pub(crate) developer_role: bool,
    /// Whether a message's content may be a list of parts; otherwise a list of texts becomes one text.
    #[schemars(example = false)]
    pub(crate) content_parts: bool,
    /// Which field bounds the answer: `"asSent"`, `"max_tokens"`, `"max_completion_tokens"`.
    #[schemars(example = &"max_tokens")]
    pub(crate) max_tokens: RawMaxTokens,
    /// Whether the server knows `stream_options`; otherwise it is left out.
    #[schemars(example = false)]
    pub(crate) stream_options: bool,
    /// Keywords that are left out of JSON Schemas, because the server's grammar rejects them.
    #[schemars(example = ["pattern", "maxLength"])]
    pub(crate) schema_without: List<String>,
    /// Whether chat completions are put right also where no tool of Owl's is used. They then no longer pass byte for byte.
    #[schemars(example = true)]
    pub(crate) forwarding: bool,
}

impl Default for RawCompatTable {
    fn default() -> Self {
        Self {
            tool_calls: RawTextCalls::Auto,
            reasoning: RawTextReasoning::Auto,
            developer_role: true,
            content_parts: true,
            max_tokens: RawMaxTokens::AsSent,
            stream_options: true,
            schema_without: List::default(),
            forwarding: false,
        }
    }
}

/// How calls stand in the text.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawTextCalls {
    Auto,
    Off,
    Hermes,
    Mistral,
    Llama,
}

/// How reasoning stands in the text.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RawTextReasoning {
    Auto,
    Off,
    Open,
}

/// Which field bounds the answer.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub(crate) enum RawMaxTokens {
    #[serde(rename = "asSent")]
    AsSent,
    #[serde(rename = "max_tokens")]
    MaxTokens,
    #[serde(rename = "max_completion_tokens")]
    MaxCompletionTokens,
}

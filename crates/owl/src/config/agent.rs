//! What the agent loop may cost, and how a provider's server differs from what OpenAI's does.

use std::collections::BTreeMap;
use std::time::Duration;

use owl_wire::compat::{Compat, MaxTokens, TextCalls, TextReasoning};

use super::build::Builder;
use super::problem::{KeyPath, spelt};
use super::raw::RawModel;
use super::raw_agent::{
    RawApi, RawAutoTools, RawBudget, RawCompat, RawCompatTable, RawMaxTokens, RawTextCalls, RawTextReasoning,
};
use super::raw_value::List;

/// The tools that can be offered.
const TOOLS: [&str; 3] = ["web_search", "web_fetch", "image"];

/// What one answer may cost. At its end the model is told so, and asked once more, without tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many turns of the model may use tools.
    pub steps: u32,
    /// How many calls of tools there may be, refused and failed ones included.
    pub calls: u32,
    /// How many of them run at a time.
    pub parallel: usize,
    /// How long all of it may take, before the model has to answer with what it has.
    pub timeout: Duration,
    /// How much the results may hold together, in bytes.
    pub result_bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: 16, calls: 64, parallel: 8, timeout: Duration::from_secs(300), result_bytes: 1 << 20 }
    }
}

/// Whether a provider has an API besides chat completions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApiSupport {
    /// It turns out when it is asked.
    #[default]
    Auto,
    /// It has: requests are forwarded.
    Native,
    /// It has not: Owl answers, over chat completions.
    Chat,
}

/// What a provider's server gets wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompatConfig {
    /// For models that say nothing of their own.
    pub flags: Compat,
    /// For the models that do, by the name that clients say.
    pub models: BTreeMap<String, Compat>,
    /// Whether chat completions are read and put right also where no tool of Owl's is asked for.
    pub forwarding: bool,
}

impl CompatConfig {
    /// The flags for a model, by the name that clients say.
    pub fn of(&self, model: &str) -> &Compat {
        self.models.get(model).unwrap_or(&self.flags)
    }
}

impl From<RawApi> for ApiSupport {
    fn from(raw: RawApi) -> Self {
        match raw {
            RawApi::Auto => Self::Auto,
            RawApi::Native => Self::Native,
            RawApi::Chat => Self::Chat,
        }
    }
}

impl Builder<'_, '_> {
    /// `tools.budget`.
    pub(crate) fn budget(&mut self, raw: &RawBudget, path: &KeyPath) -> Option<Budget> {
        let timeout = self.positive(&raw.timeout, &path.key("timeout"));
        let result_bytes =
            self.size(&raw.result_bytes, &path.key("resultBytes"), 1 << 10..=1 << 30, "from 1KiB to 1GiB");
        Some(Budget {
            steps: raw.steps,
            calls: raw.calls,
            parallel: raw.parallel,
            timeout: timeout?,
            result_bytes: result_bytes?,
        })
    }

    /// `tools.auto` of a provider or a key.
    pub(crate) fn auto_tools(&mut self, raw: &RawAutoTools, path: &KeyPath) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (index, name) in raw.auto.iter() {
            let path = path.key("auto").index(index);
            if !TOOLS.contains(&name.as_str()) {
                let help = format!("write one of {}", TOOLS.join(", "));
                self.report(&path, format!("{} is not a tool of Owl's", spelt(name)), help);
            } else if names.contains(name) {
                self.report(&path, format!("the tool {name} is named twice"), "keep one of the two");
            } else {
                names.push(name.clone());
            }
        }
        names
    }

    /// `compat` of a provider and of its models.
    pub(crate) fn compat(&mut self, raw: &RawCompat, models: &List<RawModel>, path: &KeyPath) -> CompatConfig {
        let mut config = CompatConfig::default();
        if let RawCompat::Table(table) = raw {
            config.flags = self.compat_flags(table, &path.key("compat"));
            config.forwarding = table.forwarding;
        }
        for (index, model) in models.iter() {
            let RawModel::Renamed(model) = model else { continue };
            let Some(table) = &model.compat else { continue };
            let path = path.key("models").index(index).key("compat");
            if table.forwarding {
                let help = "write it in the provider's `compat`";
                self.report(&path.key("forwarding"), "this holds for a provider, not for a model", help);
            }
            let flags = self.compat_flags(table, &path);
            config.models.insert(model.id.clone(), flags);
        }
        config
    }

    /// The flags of a provider or a model.
    pub(crate) fn compat_flags(&mut self, raw: &RawCompatTable, path: &KeyPath) -> Compat {
        for (index, keyword) in raw.schema_without.iter() {
            if keyword.is_empty() || matches!(keyword.as_str(), "type" | "properties" | "items") {
                let path = path.key("schemaWithout").index(index);
                self.report(
                    &path,
                    format!("{} cannot be left out of a schema", spelt(keyword)),
                    "name a keyword such as \"pattern\"",
                );
            }
        }
        Compat {
            text_calls: match raw.tool_calls {
                RawTextCalls::Auto => TextCalls::Auto,
                RawTextCalls::Off => TextCalls::Off,
                RawTextCalls::Hermes => TextCalls::Hermes,
                RawTextCalls::Mistral => TextCalls::Mistral,
                RawTextCalls::Llama => TextCalls::Llama,
            },
            text_reasoning: match raw.reasoning {
                RawTextReasoning::Auto => TextReasoning::Auto,
                RawTextReasoning::Off => TextReasoning::Off,
                RawTextReasoning::Open => TextReasoning::Open,
            },
            developer_role: raw.developer_role,
            content_parts: raw.content_parts,
            max_tokens: match raw.max_tokens {
                RawMaxTokens::AsSent => MaxTokens::AsSent,
                RawMaxTokens::MaxTokens => MaxTokens::MaxTokens,
                RawMaxTokens::MaxCompletionTokens => MaxTokens::MaxCompletionTokens,
            },
            stream_options: raw.stream_options,
            schema_without: raw.schema_without.iter().map(|(_, keyword)| keyword.clone()).collect(),
        }
    }
}

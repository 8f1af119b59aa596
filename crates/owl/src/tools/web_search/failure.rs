//! Why a search has no results, for the one who asked and for the operator.

use std::time::Duration;

use owl_egress::{EgressError, UpstreamClient};

use super::KEY;
use super::engine::{Engine, EngineProblem};
use super::search::ANSWER_LIMIT;
use crate::tools::{ToolError, ToolFault};

/// Why there is no list of results.
#[derive(Debug)]
pub(super) enum Failure {
    /// The engine was not reached, or broke off.
    Egress(EgressError),
    /// It answered with this status.
    Status(u16),
    /// The answer is larger than what is read.
    TooLarge,
    /// The answer cannot be read.
    Engine(EngineProblem),
    /// All in all it took too long.
    Timeout,
}

impl Failure {
    /// For the one who asked. `timeout` is how long the whole search might take.
    pub(super) fn into_error(self, engine: &dyn Engine, client: &UpstreamClient, timeout: Duration) -> ToolError {
        let name = engine.name();
        let error = match self {
            Self::Egress(EgressError::Denied(denied)) => ToolError {
                for_operator: Some(format!("{KEY}: {denied}")),
                ..ToolError::new(
                    ToolFault::Refused,
                    "url_refused",
                    format!("the search engine {name}: {}", denied.public_message()),
                )
            },
            // The parts of the way have no timeouts of their own here: it is the one of the whole.
            Self::Egress(EgressError::Timeout { .. }) | Self::Timeout => ToolError::new(
                ToolFault::Timeout,
                "search_timeout",
                format!("{name} did not answer within {} s ({KEY}.timeout)", timeout.as_secs_f64()),
            ),
            Self::Egress(EgressError::Exchange { answered: true, .. }) => {
                ToolError::new(ToolFault::Destination, "search_failed", format!("the answer of {name} broke off"))
            }
            Self::Egress(error) => ToolError::new(
                ToolFault::Destination,
                "search_failed",
                format!("the search engine {name}: {}", error.public_message()),
            ),
            Self::TooLarge => ToolError::new(
                ToolFault::Destination,
                "search_failed",
                format!("the answer of {name} is larger than {} MiB", ANSWER_LIMIT >> 20),
            ),
            Self::Status(status) => of_status(engine, status),
            Self::Engine(problem) => of_answer(name, problem),
        };
        // Whatever was quoted on the way here.
        let for_operator = error.for_operator.map(|text| client.redact(&text));
        ToolError { message: client.redact(&error.message), for_operator, ..error }
    }
}

fn of_status(engine: &dyn Engine, status: u16) -> ToolError {
    let name = engine.name();
    let failed = |fault, reason: &str| {
        ToolError::new(fault, "search_failed", format!("{name} answered with status {status}: {reason}"))
    };
    match (engine.explain(status), status) {
        (Some(reason), _) => failed(ToolFault::Configuration, reason),
        (None, 401 | 403) => failed(ToolFault::Configuration, "it refuses Owl's credential (tools.web.search)"),
        (None, 429) => failed(ToolFault::Destination, "it is asked too often, or its quota is used up"),
        (None, 300..=399) => failed(
            ToolFault::Configuration,
            "a redirect, which Owl does not follow; set tools.web.search.baseUrl to where it is",
        ),
        (None, 404) => failed(ToolFault::Configuration, "there is no search at tools.web.search.baseUrl"),
        (None, _) => failed(ToolFault::Destination, "it failed"),
    }
}

fn of_answer(name: &str, problem: EngineProblem) -> ToolError {
    let (fault, reason) = match problem {
        EngineProblem::NotJson => (ToolFault::Destination, "its answer is not JSON"),
        EngineProblem::Shape(reason) => (ToolFault::Configuration, reason),
        EngineProblem::Challenge => (
            ToolFault::Destination,
            "it takes Owl for a bot and asks for a person; wait, or name another engine in tools.web.search",
        ),
    };
    ToolError::new(fault, "search_failed", format!("{name}: {reason}"))
}

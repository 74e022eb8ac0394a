//! Errors and warnings, each one object on standard error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::Failure;

/// A failure. One object on standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// The failure.
    pub error: Problem,
}

/// The failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The kind of error.
    pub kind: ProblemKind,
    /// The operation, its object, and the reason why it failed.
    pub message: String,
    /// Advice; null if there is none.
    pub hint: Option<String>,
    /// The usage of the verb. Only present if the arguments do not parse; null if only a value is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<String>>,
}

/// The kind of error. Each has an exit code of its own (`retro --help`); `interrupted` has one for each signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ProblemKind {
    /// The library failed.
    Failure(Failure),
    /// A signal ended the program.
    Signal(Signal),
}

/// The end by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Signal {
    /// A signal ended the program.
    #[serde(rename = "interrupted")]
    Interrupted,
}

impl Failed {
    /// An error of the library.
    pub fn new(error: &crate::error::Error) -> Self {
        let kind = ProblemKind::Failure(error.kind().into());
        let hint = error.hint().map(ToOwned::to_owned);
        Self { error: Problem { kind, message: error.to_string(), hint, usage: None } }
    }

    /// Arguments that do not parse, with the usage of the verb.
    pub fn usage(message: &str, hint: &str, usage: Option<&str>) -> Self {
        let (message, hint) = (message.to_owned(), Some(hint.to_owned()));
        let kind = ProblemKind::Failure(Failure::Invalid);
        Self { error: Problem { kind, message, hint, usage: Some(usage.map(ToOwned::to_owned)) } }
    }

    /// The end by a signal.
    pub fn interrupted(message: &str, hint: &str) -> Self {
        let (message, hint) = (message.to_owned(), Some(hint.to_owned()));
        Self { error: Problem { kind: ProblemKind::Signal(Signal::Interrupted), message, hint, usage: None } }
    }
}

/// A warning that is part of no result. One object on standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// The warning, as a sentence.
    pub warning: String,
}

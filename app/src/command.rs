//! The commands that the owner of a batch can send.

use quilt::Square;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A command on a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Fields", try_from = "Fields")]
pub enum Command {
    /// Start no more tasks.
    Pause,
    /// Start tasks again after a pause.
    Resume,
    /// Stop the batch. Finished tasks keep their outcomes.
    Cancel,
    /// Limit how many tasks run at the same time. The text is the number as typed, empty for no limit.
    SetConcurrency(String),
    /// Run the failed squares again, as a new lap.
    RetryFailed,
    /// Run one failed square again, as a new lap.
    RetrySquare(Square),
    /// Run the squares that failed for a reason again, as a new lap. Limits are numbers as typed; an empty one stays as it was.
    RetryReason {
        /// The reason.
        reason: String,
        /// How often a task is attempted.
        attempts: String,
        /// The time limit of one attempt, in seconds.
        timeout_s: String,
    },
    /// Run the squares that were not run when the batch was stopped, as a new lap.
    Continue,
    /// Launch a batch with the same specification and input.
    RunAgain {
        /// Whether to reuse the seed, and with it the order and the colors.
        same_seed: bool,
    },
    /// Delete a finished batch.
    Remove,
}

/// A command as form fields: `command[name]`, `command[row]` and so on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Fields {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    row: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    attempts: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    timeout_s: String,
    #[serde(default)]
    same_seed: bool,
}

/// The fields do not form a command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
enum CommandError {
    #[error("there is no command '{0}'")]
    Unknown(String),
    #[error("retry-square needs a row and a column")]
    NoSquare,
    #[error("retry-reason needs a reason")]
    NoReason,
}

impl Command {
    /// The value of the field `command[name]`.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::SetConcurrency(_) => "set-concurrency",
            Self::RetryFailed => "retry-failed",
            Self::RetrySquare(_) => "retry-square",
            Self::RetryReason { .. } => "retry-reason",
            Self::Continue => "continue",
            Self::RunAgain { .. } => "run-again",
            Self::Remove => "remove",
        }
    }
}

impl From<Command> for Fields {
    fn from(command: Command) -> Self {
        let fields = Self { name: command.name().into(), ..Self::default() };
        match command {
            Command::SetConcurrency(concurrency) => Self { concurrency: Some(concurrency), ..fields },
            Command::RetrySquare(Square { row, column }) => Self { row: Some(row), column: Some(column), ..fields },
            Command::RetryReason { reason, attempts, timeout_s } => {
                Self { reason: Some(reason), attempts, timeout_s, ..fields }
            }
            Command::RunAgain { same_seed } => Self { same_seed, ..fields },
            Command::Pause
            | Command::Resume
            | Command::Cancel
            | Command::RetryFailed
            | Command::Continue
            | Command::Remove => fields,
        }
    }
}

impl TryFrom<Fields> for Command {
    type Error = CommandError;

    fn try_from(fields: Fields) -> Result<Self, CommandError> {
        Ok(match fields.name.as_str() {
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "cancel" => Self::Cancel,
            "set-concurrency" => Self::SetConcurrency(fields.concurrency.unwrap_or_default()),
            "retry-failed" => Self::RetryFailed,
            "retry-square" => match (fields.row, fields.column) {
                (Some(row), Some(column)) => Self::RetrySquare(Square { row, column }),
                _ => return Err(CommandError::NoSquare),
            },
            "retry-reason" => {
                let Fields { reason, attempts, timeout_s, .. } = fields;
                Self::RetryReason { reason: reason.ok_or(CommandError::NoReason)?, attempts, timeout_s }
            }
            "continue" => Self::Continue,
            "run-again" => Self::RunAgain { same_seed: fields.same_seed },
            "remove" => Self::Remove,
            _ => return Err(CommandError::Unknown(fields.name)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_round_trip_through_form_fields() {
        let square = Square { row: 3, column: 4 };
        for command in [
            Command::Pause,
            Command::Resume,
            Command::Cancel,
            Command::SetConcurrency("12".into()),
            Command::RetryFailed,
            Command::RetrySquare(square),
            Command::RetryReason { reason: "timed out".into(), attempts: "5".into(), timeout_s: String::new() },
            Command::Continue,
            Command::RunAgain { same_seed: true },
            Command::RunAgain { same_seed: false },
            Command::Remove,
        ] {
            let posted = serde_json::to_value(&command).expect("fields");
            assert_eq!(serde_json::from_value::<Command>(posted).expect("a command"), command);
        }
    }

    #[test]
    fn invalid_commands_are_refused() {
        for (posted, reason) in [
            (r#"{"name": "explode"}"#, "there is no command 'explode'"),
            (r#"{"name": "retry-square", "row": 1}"#, "retry-square needs a row and a column"),
            (r#"{"name": "retry-reason"}"#, "retry-reason needs a reason"),
        ] {
            let refused = serde_json::from_str::<Command>(posted).expect_err("refused");
            assert!(refused.to_string().contains(reason), "{refused}");
        }
    }
}

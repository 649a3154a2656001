//! A square with its attempts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A square, by its row and column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Square {
    /// The row, from 0.
    pub row: u32,
    /// The column, from 0.
    pub column: u32,
}

/// The state of a task and of its square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It has no outcome yet.
    Pending,
    /// It succeeded.
    Done,
    /// It failed permanently.
    Failed,
    /// The batch was stopped before it ran, and no later lap runs it.
    NotRun,
}

impl TaskState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Done, Self::Failed, Self::NotRun];

    /// Returns the word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::NotRun => "not_run",
        }
    }

    /// Returns the words on pages.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotRun => "not run",
            Self::Pending | Self::Done | Self::Failed => self.as_str(),
        }
    }
}

/// A square with all recorded attempts at its task: the response of `GET /api/batches/{id}/squares/{row}/{column}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SquareDocument {
    /// Its row, from 0.
    pub row: u32,
    /// Its column, from 0.
    pub column: u32,
    /// The input item of its task; `null` if the work has no items.
    pub item: Option<String>,
    /// The state of its task.
    pub state: TaskState,
    /// Its color, `#` and six hexadecimal digits; `null` unless `state` is `done`.
    pub color: Option<String>,
    /// The whole message of the failure; `null` unless `state` is `failed`.
    pub failed: Option<String>,
    /// The reason for the failure: a few words that are the same for similar failures; `null` unless `state` is `failed`.
    #[serde(default)]
    pub reason: Option<String>,
    /// Details that the task recorded, by name. The kind of work determines the names. `null` if there are none, or the task produced a
    /// picture.
    pub detail: Option<Map<String, Value>>,
    /// The path, on this server, of the picture that the task produced; `null` if there is none.
    pub picture: Option<String>,
    /// Why the task does not run; `null` unless `state` is `pending`.
    #[serde(default)]
    pub waiting: Option<Waiting>,
    /// The last 1,000 attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// The state of a pending task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The cause.
    #[serde(rename = "for")]
    pub cause: WaitingFor,
    /// The time of the retry; `null` unless `for` is `retry`.
    pub until: Option<String>,
    /// The cause as a sentence.
    pub text: String,
}

/// What a pending task is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitingFor {
    /// Nothing: the task is assigned to a worker.
    Running,
    /// The batch is paused.
    Paused,
    /// The batch is being stopped.
    Stopping,
    /// The concurrency limit of the batch is reached.
    Concurrency,
    /// The last attempt failed, and the retry is not due.
    Retry,
    /// The start time of the batch is in the future.
    NotBefore,
    /// No node can run it.
    Unable,
    /// A limit for tasks with the same key, such as the host: their number, or the time between them.
    Key,
    /// No node has slots for tasks of this class.
    NoSlots,
    /// Workers were lost while they ran the task, and few such tasks run at the same time.
    Suspected,
    /// A free worker.
    Turn,
    /// No node is currently the coordinator of the batch.
    Coordinator,
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The lap of the attempt, from 1.
    pub lap: u32,
    /// The number of the attempt in the lap, from 1.
    pub attempt: u32,
    /// The name of the worker.
    pub worker: String,
    /// The start of the attempt.
    pub started_at: String,
    /// The duration in milliseconds.
    pub took_ms: u32,
    /// The message of the failure; `null` if it succeeded.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_golden;

    #[test]
    fn what_a_pending_square_lacks_is_null() {
        let square = SquareDocument {
            row: 0,
            column: 1,
            item: None,
            state: TaskState::Pending,
            color: None,
            failed: None,
            reason: None,
            detail: None,
            picture: None,
            waiting: None,
            attempts: Vec::new(),
        };
        assert_golden(
            &square,
            r#"{"row":0,"column":1,"item":null,"state":"pending","color":null,"failed":null,"reason":null,"detail":null,"picture":null,"waiting":null,"attempts":[]}"#,
        );
    }

    #[test]
    fn a_settled_square_has_its_detail_and_its_attempts() {
        let attempt = Attempt {
            lap: 1,
            attempt: 1,
            worker: "host/1".into(),
            started_at: "2026-09-21T14:13:20.123Z".into(),
            took_ms: 7,
            error: Some("no luck".into()),
        };
        let square = SquareDocument {
            row: 4_095,
            column: 0,
            item: Some("https://example.org/".into()),
            state: TaskState::Done,
            color: Some("#0000AB".into()),
            failed: None,
            reason: None,
            detail: Some([("status".into(), 200.into()), ("title".into(), "A".into())].into_iter().collect()),
            picture: None,
            waiting: None,
            attempts: vec![attempt.clone(), Attempt { attempt: 2, error: None, ..attempt }],
        };
        assert_golden(
            &square,
            concat!(
                r##"{"row":4095,"column":0,"item":"https://example.org/","state":"done","color":"#0000AB","failed":null,"##,
                r#""reason":null,"detail":{"status":200,"title":"A"},"picture":null,"waiting":null,"attempts":["#,
                r#"{"lap":1,"attempt":1,"worker":"host/1","started_at":"2026-09-21T14:13:20.123Z","took_ms":7,"error":"no luck"},"#,
                r#"{"lap":1,"attempt":2,"worker":"host/1","started_at":"2026-09-21T14:13:20.123Z","took_ms":7,"error":null}]}"#
            ),
        );
    }

    #[test]
    fn a_failed_square_may_have_a_picture() {
        let square = SquareDocument {
            row: 1,
            column: 2,
            item: None,
            state: TaskState::Failed,
            color: None,
            failed: Some("out of memory: 5 GiB".into()),
            reason: Some("out of memory".into()),
            detail: None,
            picture: Some("/api/batches/1/squares/1/2/picture.png".into()),
            waiting: None,
            attempts: Vec::new(),
        };
        assert_golden(
            &square,
            concat!(
                r#"{"row":1,"column":2,"item":null,"state":"failed","color":null,"failed":"out of memory: 5 GiB","#,
                r#""reason":"out of memory","detail":null,"#,
                r#""picture":"/api/batches/1/squares/1/2/picture.png","waiting":null,"attempts":[]}"#
            ),
        );
    }

    #[test]
    fn states_are_words() {
        for state in TaskState::ALL {
            assert_golden(&state, &format!(r#""{}""#, state.as_str()));
        }
    }
}

//! A square with its attempts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The place of a square in the quilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Square {
    /// The row, from 0.
    pub row: u32,
    /// The column, from 0.
    pub column: u32,
}

/// The state of a task, and so of its square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// It has no outcome yet.
    Pending,
    /// It succeeded.
    Done,
    /// It failed for good.
    Failed,
    /// The batch was stopped before it ran, and no later lap runs it.
    NotRun,
}

impl TaskState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Done, Self::Failed, Self::NotRun];

    /// The word for it, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::NotRun => "not_run",
        }
    }

    /// The state in words, for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotRun => "not run",
            Self::Pending | Self::Done | Self::Failed => self.as_str(),
        }
    }
}

/// One square with every recorded attempt at its task: the answer of `GET /api/batches/{id}/squares/{row}/{column}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SquareDocument {
    /// Its row, from 0.
    pub row: u32,
    /// Its column, from 0.
    pub column: u32,
    /// The item of the input that its task is about; `null` if the work has no items.
    pub item: Option<String>,
    /// The state of its task.
    pub state: TaskState,
    /// Its color, `#` and six hexadecimal digits; `null` unless `state` is `done`.
    pub color: Option<String>,
    /// Why its task failed, in full; `null` unless `state` is `failed`.
    pub failed: Option<String>,
    /// Why its task failed, in a few words that failures of the same kind share; `null` unless `state` is `failed`.
    #[serde(default)]
    pub reason: Option<String>,
    /// What its task recorded, by name. The names are those of the kind of work. `null` if it recorded nothing or made a picture.
    pub detail: Option<Map<String, Value>>,
    /// The path of the picture that its task made, on the same server; `null` if it made none.
    pub picture: Option<String>,
    /// What its task waits for; `null` unless `state` is `pending`.
    #[serde(default)]
    pub waiting: Option<Waiting>,
    /// The attempts, oldest first; the last 1,000 of them.
    pub attempts: Vec<Attempt>,
}

/// What a pending task waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The cause.
    #[serde(rename = "for")]
    pub cause: WaitingFor,
    /// When it is tried again; `null` unless `for` is `retry`.
    pub until: Option<String>,
    /// The same in a sentence.
    pub text: String,
}

/// The cause for which a task waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitingFor {
    /// Nothing: a worker has it.
    Running,
    /// Its batch is paused.
    Paused,
    /// Its batch is being stopped.
    Stopping,
    /// As many tasks of its batch run as may at the same time.
    Concurrency,
    /// It failed, and is tried again later.
    Retry,
    /// Its batch was launched to start later.
    NotBefore,
    /// No node can run it.
    Unable,
    /// As many tasks for the same host, or whatever else they share, run as may at the same time, or no other one starts before a time.
    Key,
    /// No node has slots for such tasks.
    NoSlots,
    /// Its workers were lost, and few such tasks run at the same time.
    Suspected,
    /// A free worker.
    Turn,
    /// No node coordinates its batch at this moment.
    Coordinator,
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The lap in which it was made, from 1.
    pub lap: u32,
    /// Which attempt of that lap it was, from 1.
    pub attempt: u32,
    /// The name of the worker that made it.
    pub worker: String,
    /// When it was started.
    pub started_at: String,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// The reason for which it failed; `null` if it succeeded.
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

//! What is recorded of a command that has run.

use std::time::Duration;

use engine::work::Detail;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::process::{Ended, Output};

/// The detail of a square whose command has run, whatever its exit status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRecord {
    /// The exit status; 128 and the signal if one killed it, as in a shell.
    pub exit: i32,
    /// How long it ran, in milliseconds.
    pub ms: u64,
    /// What it wrote on standard output, up to the limit. What is not UTF-8 is replaced.
    pub stdout: String,
    /// What it wrote on standard error, likewise.
    pub stderr: String,
    /// How many bytes it wrote on standard output; absent if `stdout` has all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_bytes: Option<u64>,
    /// How many bytes it wrote on standard error; absent if `stderr` has all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_bytes: Option<u64>,
    /// The signal that killed it; absent if it ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

impl CommandRecord {
    pub(super) fn new(ended: Ended, took: Duration, stdout: &Output, stderr: &Output) -> Self {
        let text = |output: &Output| String::from_utf8_lossy(&output.kept).into_owned();
        let bytes_if_cut = |output: &Output| (output.bytes > output.kept.len() as u64).then_some(output.bytes);
        Self {
            exit: ended.status(),
            ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            stdout: text(stdout),
            stderr: text(stderr),
            stdout_bytes: bytes_if_cut(stdout),
            stderr_bytes: bytes_if_cut(stderr),
            signal: ended.signal(),
        }
    }

    pub(super) fn into_detail(self) -> Detail {
        Detail::Record(match serde_json::to_value(self) {
            Ok(Value::Object(record)) => record,
            // Numbers and texts with names are always an object.
            _ => Map::new(),
        })
    }

    /// Reads it from the detail of a square.
    ///
    /// # Errors
    ///
    /// It is not the detail of a command.
    pub fn from_detail(detail: Map<String, Value>) -> Result<Self, serde_json::Error> {
        serde_json::from_value(Value::Object(detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_says_how_much_was_cut_and_reads_back() {
        let (stdout, stderr) = (Output { kept: b"one".into(), bytes: 5 }, Output { kept: b"two\xFF".into(), bytes: 4 });
        let record = CommandRecord::new(Ended::Signal(9), Duration::from_millis(7), &stdout, &stderr);
        let Detail::Record(detail) = record.clone().into_detail() else { panic!("it is no picture") };
        let json = r#"{"exit":137,"ms":7,"signal":9,"stderr":"two\ufffd","stdout":"one","stdout_bytes":5}"#;
        assert_eq!(Value::Object(detail.clone()), serde_json::from_str::<Value>(json).expect("JSON"));
        assert_eq!(CommandRecord::from_detail(detail).expect("its own detail"), record);
    }
}

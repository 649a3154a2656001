//! The detail that is stored for a command.

use std::time::Duration;

use engine::work::Detail;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::process::{CapturedStream, Termination};

/// The detail of a square whose command was started, whatever its exit status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRecord {
    /// The exit status; 128 plus the signal if one killed the command, as in a shell.
    pub exit: i32,
    /// The run time in milliseconds.
    pub ms: u64,
    /// Standard output, up to the limit. Invalid UTF-8 is replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// The total size of standard output in bytes; absent if `stdout` is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_bytes: Option<u64>,
    /// The total size of standard error in bytes; absent if `stderr` is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_bytes: Option<u64>,
    /// The signal that killed the command; absent if it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
}

impl CommandRecord {
    pub(super) fn new(
        termination: Termination,
        elapsed: Duration,
        stdout: &CapturedStream,
        stderr: &CapturedStream,
    ) -> Self {
        let text = |stream: &CapturedStream| String::from_utf8_lossy(&stream.kept).into_owned();
        let bytes_if_truncated =
            |stream: &CapturedStream| (stream.total_bytes > stream.kept.len() as u64).then_some(stream.total_bytes);
        Self {
            exit: termination.status(),
            ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            stdout: text(stdout),
            stderr: text(stderr),
            stdout_bytes: bytes_if_truncated(stdout),
            stderr_bytes: bytes_if_truncated(stderr),
            signal: termination.signal(),
        }
    }

    pub(super) fn into_detail(self) -> Detail {
        Detail::Record(match serde_json::to_value(self) {
            Ok(Value::Object(record)) => record,
            // A struct with named fields always serializes to an object.
            _ => Map::new(),
        })
    }

    /// Parses the detail of a square.
    ///
    /// # Errors
    ///
    /// The detail does not come from the `command` kind.
    pub fn from_detail(detail: Map<String, Value>) -> Result<Self, serde_json::Error> {
        serde_json::from_value(Value::Object(detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detail_round_trips_with_the_total_size_of_truncated_streams() {
        let stdout = CapturedStream { kept: b"one".into(), total_bytes: 5 };
        let stderr = CapturedStream { kept: b"two\xFF".into(), total_bytes: 4 };
        let record = CommandRecord::new(Termination::Signal(9), Duration::from_millis(7), &stdout, &stderr);
        let Detail::Record(detail) = record.clone().into_detail() else { panic!("not a record") };
        let json = r#"{"exit":137,"ms":7,"signal":9,"stderr":"two\ufffd","stdout":"one","stdout_bytes":5}"#;
        assert_eq!(Value::Object(detail.clone()), serde_json::from_str::<Value>(json).expect("JSON"));
        assert_eq!(CommandRecord::from_detail(detail).expect("its own detail"), record);
    }
}

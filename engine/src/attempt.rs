//! One try at a task: within its time, and whatever happens, with a result.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use quilt::Color;

use crate::work::{Task, TaskError, Work};

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 200;

/// Runs one attempt. Panics and time-outs are failures like others, and may be tried again.
pub(crate) async fn run(work: &dyn Work, task: Task, timeout: Duration) -> Result<Color, TaskError> {
    // Nothing of a future that panicked is used again.
    let attempt = AssertUnwindSafe(work.run(task)).catch_unwind();
    match tokio::time::timeout(timeout, attempt).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(TaskError::Retryable(format!("panicked: {}", panic_message(&*panic)))),
        Err(_) => Err(TaskError::Retryable(format!("took longer than {} ms", timeout.as_millis()))),
    }
}

/// An error as it is kept with the square.
pub(crate) fn reason(error: &TaskError) -> Box<str> {
    let reason = error.to_string();
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", reason.get(..end).unwrap_or_default()).into(),
        None => reason.into(),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let error = TaskError::Retryable("é".repeat(300));
        let reason = reason(&error);
        assert_eq!(reason.chars().count(), MAX_REASON + 1);
        assert!(reason.ends_with('…'));
    }
}

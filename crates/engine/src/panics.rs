//! Panics of tasks: caught, logged once per batch, and counted.
//!
//! A panic calls the process's panic hook before it can be caught. The standard hook prints the message, and a backtrace if
//! `RUST_BACKTRACE` is set, which takes longer than most tasks. [`install_hook`] installs a hook that ignores the panics of tasks, which
//! [`PanicLog::catch`] reports instead. It passes all other panics to the previous hook.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use quilt::BatchId;

use crate::panic_message::{NO_MESSAGE, panic_message};
use crate::work::{Task, TaskError};

/// Whether this thread is running a task's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    Inside,
    /// The task has panicked. [`NOTED`] contains the hook's information.
    Panicked,
}

/// Information from the hook about a panic of a task.
struct Noted {
    /// File, line and column.
    at: String,
    message: String,
}

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State::Outside) };
    static NOTED: Cell<Option<Noted>> = const { Cell::new(None) };
}

/// Installs the hook for this process. Further calls have no effect, even if the program has installed another hook since.
pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_noted(info) {
                previous(info);
            }
        }));
    });
}

/// Records a panic for [`PanicLog::catch`], if it is the first uncaught one of a task. Returns whether it did.
fn is_noted(info: &PanicHookInfo<'_>) -> bool {
    match STATE.get() {
        State::Outside => false,
        State::Inside => {
            let at = info.location().map(ToString::to_string).unwrap_or_default();
            let message = info.payload_as_str().unwrap_or(NO_MESSAGE).to_owned();
            NOTED.set(Some(Noted { at, message }));
            STATE.set(State::Panicked);
            true
        }
        // Either the task has caught the first panic itself, or this is a panic in a destructor and the process is about to abort. In the
        // latter case both messages are needed for diagnosis.
        State::Panicked => {
            STATE.set(State::Outside);
            if let Some(Noted { at, message }) = NOTED.take() {
                tracing::error!(at, reason = message, "a task panicked, and panics again");
            }
            false
        }
    }
}

/// The panics of one batch's tasks on this node. Logs the first one, and counts the others.
pub(crate) struct PanicLog {
    batch: BatchId,
    caught: AtomicU64,
    /// The number of panics after the first one that have been reported.
    reported: AtomicU64,
}

impl PanicLog {
    pub(crate) fn new(batch: BatchId) -> Self {
        Self { batch, caught: AtomicU64::new(0), reported: AtomicU64::new(0) }
    }

    /// Runs code of a task on this thread. A panic becomes the error of the attempt.
    pub(crate) fn catch<T>(&self, task: &Task, code: impl FnOnce() -> T) -> Result<T, TaskError> {
        // A task may run tasks of another engine on the same thread.
        let outer = STATE.replace(State::Inside);
        // State that the code has left inconsistent is not used again.
        let result = panic::catch_unwind(AssertUnwindSafe(code));
        let noted = match STATE.replace(outer) {
            State::Panicked => NOTED.take(),
            State::Inside | State::Outside => None,
        };
        match result {
            Ok(value) => {
                if let Some(Noted { at, message }) = noted {
                    tracing::debug!(batch = %self.batch, at, reason = message, "a task has caught a panic of its own");
                }
                Ok(value)
            }
            Err(panic) => {
                let message = panic_message(&*panic);
                self.count(task, message, noted.as_ref().map(|noted| noted.at.as_str()));
                Err(panicked(message))
            }
        }
    }

    fn count(&self, task: &Task, reason: &str, at: Option<&str>) {
        if self.caught.fetch_add(1, Ordering::Relaxed) == 0 {
            let Task { index, lap, attempt, .. } = task;
            let batch = self.batch;
            tracing::error!(%batch, index = index.0, lap, attempt, at, reason, "a task panicked; others of its batch are counted");
        }
    }

    /// Logs the number of panics since the last report, not counting the first one of the batch.
    pub(crate) fn report(&self) {
        let further = self.caught.load(Ordering::Relaxed).saturating_sub(1);
        let reported = self.reported.fetch_max(further, Ordering::Relaxed);
        if further > reported {
            tracing::warn!(batch = %self.batch, further = further - reported, "more attempts of the batch panicked");
        }
    }
}

impl Drop for PanicLog {
    /// Reports panics after the end of the last lap, or on a node that does not finalize laps.
    fn drop(&mut self) {
        self.report();
    }
}

fn panicked(message: &str) -> TaskError {
    TaskError::retryable("panicked").with_message(format!("panicked: {message}"))
}

#[cfg(test)]
mod tests {
    use quilt::Index;

    use super::*;
    use crate::lease_id::LeaseId;

    const TASK: Task = Task { index: Index(3), seed: 1, lap: 1, attempt: 1, lease: LeaseId { epoch: 0, number: 0 } };

    fn log() -> PanicLog {
        PanicLog::new(BatchId::from_bytes([1; 16]))
    }

    #[test]
    fn a_panic_is_the_attempts_error_with_its_message() {
        install_hook();
        let log = log();
        assert_eq!(log.catch(&TASK, || 7), Ok(7));
        let cases: [(fn(), &str); 3] = [
            (|| panic!("plain"), "plain"),
            (|| panic!("{} words", 2), "2 words"),
            (|| panic::panic_any(5), "no message"),
        ];
        for (code, message) in cases {
            assert_eq!(log.catch(&TASK, code), Err(panicked(message)));
        }
        assert_eq!(log.caught.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn where_a_task_ends_the_thread_is_outside_again_also_after_a_panic_in_a_panic() {
        install_hook();
        let (outer, inner) = (log(), log());
        let result = outer.catch(&TASK, || {
            let first = inner.catch::<()>(&TASK, || panic!("within"));
            assert_eq!(STATE.get(), State::Inside);
            first
        });
        assert_eq!(result, Ok(Err(panicked("within"))));
        assert_eq!((STATE.get(), NOTED.take().is_none()), (State::Outside, true));
        let own = outer.catch(&TASK, || {
            // Both panics are caught by the task, which continues.
            for _ in 0..2 {
                let _ = panic::catch_unwind(|| panic!("caught by the task"));
            }
        });
        assert_eq!((own, STATE.get(), NOTED.take().is_none()), (Ok(()), State::Outside, true));
        assert_eq!((outer.caught.load(Ordering::Relaxed), inner.caught.load(Ordering::Relaxed)), (0, 1));
    }

    #[test]
    fn those_behind_the_first_one_are_reported_once() {
        install_hook();
        let log = log();
        let reported = || log.reported.load(Ordering::Relaxed);
        for panics in 0..4 {
            log.report();
            assert_eq!(reported(), u64::saturating_sub(panics, 1));
            let _ = log.catch::<()>(&TASK, || panic!("again"));
        }
    }
}

//! One attempt at a task: it has a timeout, and always produces a result.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::panics::PanicLog;
use crate::work::{AsyncWork, Done, Task, TaskError};

/// The result of an attempt.
pub(super) enum AttemptResult {
    /// It returned.
    Ended(Result<Done, TaskError>),
    /// Its batch was cancelled, or the process is shutting down.
    Cancelled,
}

/// An attempt. The code of its work runs only within [`PanicLog::catch`], including its destructors.
pub(super) struct Attempt<'a> {
    state: State<'a>,
    task: Task,
    panics: &'a PanicLog,
}

enum State<'a> {
    New(&'a dyn AsyncWork),
    Running(BoxFuture<'a, Result<Done, TaskError>>),
    Ended,
}

impl<'a> Attempt<'a> {
    /// An attempt that starts with its first poll. Panics are errors that may be retried.
    pub(super) fn new(work: &'a dyn AsyncWork, task: Task, panics: &'a PanicLog) -> Self {
        Self { state: State::New(work), task, panics }
    }

    /// Waits until it ends or is cancelled. A timeout is an error that may be retried.
    pub(super) async fn end(
        self,
        started: Instant,
        time: Duration,
        cancellation: impl Future<Output = ()>,
    ) -> AttemptResult {
        tokio::select! {
            biased;
            () = cancellation => AttemptResult::Cancelled,
            result = timeout_at(started + time, self) => AttemptResult::Ended(result.unwrap_or_else(|_| Err(too_slow(time)))),
        }
    }
}

impl Future for Attempt<'_> {
    type Output = Result<Done, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { state, task, panics } = &mut *self;
        let polled = panics.catch(task, || {
            if let State::New(work) = state {
                *state = State::Running(work.run(*task));
            }
            let State::Running(future) = state else { return Poll::Pending };
            let polled = future.as_mut().poll(context);
            if polled.is_ready() {
                *state = State::Ended;
            }
            polled
        });
        polled.unwrap_or_else(|panicked| Poll::Ready(Err(panicked)))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let State::Running(future) = std::mem::replace(&mut self.state, State::Ended) {
            // The panic is counted. The error has no recipient.
            let _ = self.panics.catch(&self.task, || drop(future));
        }
    }
}

/// The error of an attempt that exceeded its time limit.
pub(super) fn too_slow(time: Duration) -> TaskError {
    TaskError::retryable("timed out").with_message(format!("took longer than {} ms", time.as_millis()))
}

/// The outcome of an attempt that cannot be stopped. It is not retried, because another attempt might not stop either.
pub(super) fn unstoppable(time: Option<Duration>) -> TaskError {
    let message = match time {
        Some(time) => format!("took longer than {} ms and does not stop", time.as_millis()),
        None => "was given up and does not stop".to_owned(),
    };
    TaskError::permanent("does not stop").with_message(message)
}

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

/// The future of an attempt. It runs only within [`PanicLog::catch`], including its destructors.
struct Attempt<'a> {
    /// `None` once it has ended.
    future: Option<BoxFuture<'a, Result<Done, TaskError>>>,
    task: Task,
    panics: &'a PanicLog,
}

impl Future for Attempt<'_> {
    type Output = Result<Done, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { future, task, panics } = &mut *self;
        let polled = panics.catch(task, || {
            let Some(running) = future else { return Poll::Pending };
            let polled = running.as_mut().poll(context);
            if polled.is_ready() {
                *future = None;
            }
            polled
        });
        polled.unwrap_or_else(|panicked| Poll::Ready(Err(panicked)))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            // The panic is counted. The error has no recipient.
            let _ = self.panics.catch(&self.task, || drop(future));
        }
    }
}

/// Runs one attempt until it ends or is cancelled. Panics and timeouts are errors that may be retried.
pub(super) async fn run(
    work: &dyn AsyncWork,
    task: Task,
    started: Instant,
    time: Duration,
    cancellation: impl Future<Output = ()>,
    panics: &PanicLog,
) -> AttemptResult {
    let mut attempt = match panics.catch(&task, || work.run(task)) {
        Ok(future) => Attempt { future: Some(future), task, panics },
        Err(panicked) => return AttemptResult::Ended(Err(panicked)),
    };
    // Most short tasks are ready at the first poll, and a timer costs more than they do.
    if let Poll::Ready(result) = futures::poll!(&mut attempt) {
        return AttemptResult::Ended(result);
    }
    tokio::select! {
        biased;
        () = cancellation => AttemptResult::Cancelled,
        result = timeout_at(started + time, attempt) => AttemptResult::Ended(result.unwrap_or_else(|_| Err(too_slow(time)))),
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

//! One attempt at a task: it has a timeout, and always produces a result.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::panics::PanicLog;
use crate::work::{AsyncWork, BlockingWork, Done, Task, TaskContext, TaskError, Work};

/// How long blocking work has to return after its deadline or cancellation.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// The result of an attempt.
pub(crate) enum AttemptResult {
    /// It returned.
    Ended(Result<Done, TaskError>),
    /// Its batch was cancelled, or the process is shutting down.
    Cancelled,
    /// It ignores its deadline or its cancellation, and still runs on its own thread. The error is the outcome to record.
    Unresponsive(JoinHandle<()>, TaskError),
}

/// Runs one attempt until it ends or is cancelled. Panics and timeouts are errors that may be retried.
pub(crate) async fn run(
    work: &Work,
    task: Task,
    started: Instant,
    time: Duration,
    cancellation: impl Future<Output = ()>,
    panics: &Arc<PanicLog>,
) -> AttemptResult {
    match work {
        Work::Async(work) => wait(&**work, task, started, time, cancellation, panics).await,
        Work::Blocking(work) => block(Arc::clone(work), task, started, time, cancellation, panics).await,
    }
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

async fn wait(
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

async fn block(
    work: Arc<dyn BlockingWork>,
    task: Task,
    started: Instant,
    time: Duration,
    cancellation: impl Future<Output = ()>,
    panics: &Arc<PanicLog>,
) -> AttemptResult {
    let cancelled = CancellationToken::new();
    let context = TaskContext { deadline: started + time, cancelled: cancelled.clone() };
    let panics = Arc::clone(panics);
    // The end is recorded on the task's own thread, because this one may be delayed.
    let mut attempt = tokio::task::spawn_blocking(move || {
        let result = panics.catch(&task, || work.run(task, &context)).flatten();
        (result, Instant::now())
    });
    let is_too_slow = tokio::select! {
        biased;
        result = &mut attempt => return AttemptResult::Ended(match result {
            // A result after the deadline is too late, whatever it is.
            Ok((_, ended)) if ended >= started + time => Err(too_slow(time)),
            Ok((result, _)) => result,
            Err(_) => Err(never_ran()),
        }),
        () = cancellation => false,
        () = tokio::time::sleep_until(started + time) => true,
    };
    cancelled.cancel();
    match timeout(STOP_GRACE, &mut attempt).await {
        Ok(_) if is_too_slow => AttemptResult::Ended(Err(too_slow(time))),
        Ok(_) => AttemptResult::Cancelled,
        Err(_) => AttemptResult::Unresponsive(
            tokio::spawn(async { drop(attempt.await) }),
            unstoppable(is_too_slow.then_some(time)),
        ),
    }
}

fn too_slow(time: Duration) -> TaskError {
    TaskError::retryable("timed out").with_message(format!("took longer than {} ms", time.as_millis()))
}

/// The outcome of an attempt that cannot be stopped. It is not retried, because another attempt might not stop either.
fn unstoppable(time: Option<Duration>) -> TaskError {
    let message = match time {
        Some(time) => format!("took longer than {} ms and does not stop", time.as_millis()),
        None => "was given up and does not stop".to_owned(),
    };
    TaskError::permanent("does not stop").with_message(message)
}

/// The runtime starts no more threads because the process is shutting down.
fn never_ran() -> TaskError {
    TaskError::retryable("the process was ending")
}

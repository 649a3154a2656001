//! Runs the tasks of a chunk that wait, one after another.

use std::task::Poll;
use std::time::Duration;

use quilt::Position;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, AttemptResult};
use super::chunk_run::{ChunkRun, Tried};
use crate::journal::JournalError;
use crate::live::Pending;
use crate::work::{AsyncWork, Task};

/// How long tasks that never wait may occupy a thread before it yields.
const SLICE: Duration = Duration::from_micros(50);

/// The result of an attempt, and when it ended.
struct Timed {
    result: AttemptResult,
    /// Whether it waited.
    waited: bool,
    ended: Instant,
}

impl ChunkRun<'_> {
    /// Runs the pending tasks. The last results may not be written yet when this returns.
    pub(super) async fn run_async(&mut self, work: &dyn AsyncWork) -> Result<Tried, JournalError> {
        let mut tried = Tried::default();
        let mut started = Instant::now();
        let mut sliced = started;
        let mut is_stopping = self.worker.context.stopping.is_cancelled();
        let (batch, of_chunk) = (self.batch, self.task());
        let cancelled = batch.cancellation(self.lap());
        for task in batch.pending(self.assignment.lease().positions()) {
            if task.position >= self.end {
                break;
            }
            if is_stopping || !batch.is_running() || !self.may_start().await? {
                self.give_back_from(task.position);
                break;
            }
            let next = Position(task.position.0 + 1);
            let Pending { position, index, attempt } = task;
            self.worker.status.start(position, attempt, self.at(started));
            let of_task = Task { index, attempt, ..of_chunk };
            let mut attempt = Attempt::new(work, of_task, &batch.panics);
            // Most short tasks are ready at the first poll, and all that waiting takes costs more than they do.
            let Timed { result, waited, ended } = match futures::poll!(&mut attempt) {
                Poll::Ready(result) => {
                    Timed { result: AttemptResult::Ended(result), waited: false, ended: Instant::now() }
                }
                Poll::Pending => self.wait(attempt, next, started, &cancelled).await?,
            };
            self.worker.status.end();
            tried.has_waited |= waited;
            let mut now = ended;
            match result {
                AttemptResult::Ended(result) => self.record(task, started, now - started, result),
                AttemptResult::Cancelled => {
                    self.give_back_from(task.position);
                    break;
                }
            }
            tried.tasks += 1;
            if self.buffer.is_due(now) {
                self.write().await?;
                now = Instant::now();
            }
            if now >= self.overtime {
                self.give_back_from(next);
            }
            if now - sliced >= SLICE {
                yield_now().await;
                // Not checked after every task, because it takes a lock that all workers share.
                is_stopping = self.worker.context.stopping.is_cancelled();
                now = Instant::now();
                sliced = now;
            }
            started = now;
        }
        tried.elapsed = started - self.started.1;
        Ok(tried)
    }

    /// Waits for the end of an attempt. Meanwhile buffered results are written, and the tasks from `next` on are released if the chunk takes
    /// too long.
    async fn wait(
        &mut self,
        attempt: Attempt<'_>,
        next: Position,
        started: Instant,
        cancelled: &CancellationToken,
    ) -> Result<Timed, JournalError> {
        let interrupted = self.worker.context.interrupted(cancelled);
        let mut trying = std::pin::pin!(attempt.end(started, self.time(), interrupted));
        let _waiting = self.batch.estimate.wait();
        if self.assignment.is_probe() {
            self.give_back_from(next);
        }
        loop {
            tokio::select! {
                biased;
                result = &mut trying => return Ok(Timed { result, waited: true, ended: Instant::now() }),
                () = self.buffer.due() => {
                    let mut writing = std::pin::pin!(self.write());
                    tokio::select! {
                        biased;
                        result = &mut trying => {
                            let ended = Instant::now();
                            writing.await?;
                            return Ok(Timed { result, waited: true, ended });
                        }
                        written = &mut writing => written?,
                    }
                }
                () = sleep_until(self.overtime), if next < self.end => self.give_back_from(next),
            }
        }
    }
}

//! Runs the tasks of one chunk, one after another, and writes their results.

use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use quilt::{AttemptRun, LapLimits, Outcome, Position, Settlement, Timestamp, short_reason};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::attempt::{self, AttemptResult};
use super::backoff;
use super::context::Worker;
use super::source::Assignment;
use super::write_buffer::WriteBuffer;
use crate::dispatch::{LEASE_TTL, Measurement, Release, RetryGroup};
use crate::estimate::CHUNK_TIME;
use crate::journal::{JournalError, Sequence, retry_while_unavailable};
use crate::live::{LiveBatch, Pending};
use crate::work::{Done, MAX_DETAIL, MAX_MESSAGE, Retry, StoredDetail, Task, TaskError, Work, shortened};

/// When a chunk takes longer than this, the rest of it is released. The estimate is based on few tasks, so a chunk can be far too long.
const OVERTIME: Duration = CHUNK_TIME.saturating_mul(2);

/// How long tasks that never wait may occupy a thread before it yields.
const SLICE: Duration = Duration::from_micros(50);

/// How long a worker waits for the confirmation of its lease until it releases the lease.
const CONFIRMATION_PATIENCE: Duration = LEASE_TTL.saturating_mul(4);

/// The maximum number of retry groups of a chunk. Each has its own delay.
const RETRY_GROUPS: usize = 8;

/// The maximum length of the stored error of an attempt, in bytes. Up to [`MAX_MESSAGE`] bytes of a failed task's last error are stored
/// with its square.
const MAX_ATTEMPT_ERROR: usize = 256;

/// The result of an attempt, and when it ended.
struct Timed {
    result: AttemptResult,
    /// Whether it waited.
    waited: bool,
    ended: Instant,
}

/// The delay before a task is run again.
#[derive(Debug, Clone, Copy)]
enum Delay {
    /// The backoff of its attempt, but at least this time.
    AtLeast(Duration),
    /// Exactly this time, because it was snoozed.
    Exactly(Duration),
}

impl Delay {
    fn least(self) -> Duration {
        match self {
            Self::AtLeast(time) | Self::Exactly(time) => time,
        }
    }
}

/// The result of a chunk.
pub(super) struct ChunkResult {
    pub(super) release: Release,
    /// The attempt that is unresponsive, if there is one.
    pub(super) unresponsive: Option<JoinHandle<()>>,
}

/// A chunk that is being run.
pub(super) struct ChunkRun<'a> {
    worker: &'a Worker,
    batch: &'a LiveBatch,
    work: &'a Work,
    assignment: &'a Assignment,
    /// The end of this worker's positions. It moves when the lease is shortened.
    end: Position,
    buffer: WriteBuffer,
    /// The sequence of the journal after the last write.
    written: Sequence,
    /// The limits of the lap.
    limits: LapLimits,
    /// The tasks to run again, with their delays.
    again: Vec<(Pending, Delay)>,
    /// How long no other task with the key of this chunk may start.
    key_pause: Option<Duration>,
    /// The same moment on both clocks.
    started: (Timestamp, Instant),
    /// When the rest of the chunk is released.
    overtime: Instant,
}

impl<'a> ChunkRun<'a> {
    pub(super) fn new(
        worker: &'a Worker,
        (batch, work): (&'a LiveBatch, &'a Work),
        assignment: &'a Assignment,
    ) -> Self {
        let started = (worker.context.clock.now(), Instant::now());
        Self {
            worker,
            batch,
            work,
            assignment,
            end: assignment.lease().end,
            limits: batch.limits(),
            written: assignment.lease().after,
            buffer: WriteBuffer::default(),
            again: Vec::new(),
            key_pause: None,
            started,
            overtime: started.1 + OVERTIME,
        }
    }

    /// Runs the pending tasks and writes their results.
    pub(super) async fn run(mut self) -> Result<ChunkResult, JournalError> {
        let mut tried = 0;
        let mut has_waited = false;
        let mut unresponsive = None;
        let mut started = Instant::now();
        let mut sliced = started;
        let mut is_stopping = self.worker.context.stopping.is_cancelled();
        let cancelled = self.batch.cancellation(self.lap());
        for task in self.batch.pending(self.assignment.lease().positions()) {
            if task.position >= self.end {
                break;
            }
            if is_stopping || !self.batch.is_running() || !self.may_start().await {
                self.give_back_from(task.position);
                break;
            }
            let next = Position(task.position.0 + 1);
            let Timed { result, waited, ended } = self.attempt(task, started, &cancelled).await?;
            self.worker.status.end();
            has_waited |= waited;
            let mut now = ended;
            let took = now - started;
            match result {
                AttemptResult::Ended(result) => self.record(task, started, took, result),
                AttemptResult::Cancelled => {
                    self.give_back_from(task.position);
                    break;
                }
                AttemptResult::Unresponsive(attempt, error) => {
                    self.record(task, started, took, Err(error));
                    self.give_back_from(next);
                    unresponsive = Some(attempt);
                }
            }
            tried += 1;
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
        // Includes the time that other tasks had on this thread. So with more workers than processors, chunks get smaller.
        let measured = Measurement { tasks: tried, elapsed: started - self.started.1, has_waited };
        self.write().await?;
        Ok(ChunkResult { release: self.release((tried > 0).then_some(measured)), unresponsive })
    }

    /// Fails the tasks without running them, because their workers were lost.
    pub(super) async fn fail_poisoned(mut self) -> Result<ChunkResult, JournalError> {
        let losses = self.assignment.lease().unclean_stops;
        for task in self.batch.pending(self.assignment.lease().positions()) {
            let message = format!("{losses} workers were lost while they ran it: it may kill its process");
            tracing::error!(batch = %self.batch.id(), position = task.position.0, message, "a task fails as poison");
            let error = TaskError::permanent("workers were lost").with_message(message);
            self.record(task, self.started.1, Duration::ZERO, Err(error));
        }
        self.write().await?;
        Ok(ChunkResult { release: self.release(None), unresponsive: None })
    }

    fn lap(&self) -> u32 {
        self.assignment.lease().lap.lap
    }

    /// Whether the lease is still valid. After a stall this waits for its coordinator's confirmation.
    async fn may_start(&self) -> bool {
        let validity = self.assignment.validity();
        if validity.holds() {
            return true;
        }
        let confirmed = validity.is_confirmed(CONFIRMATION_PATIENCE);
        self.worker.context.stopping.run_until_cancelled(confirmed).await.unwrap_or(false)
    }

    /// Converts a moment of this run to a timestamp.
    fn at(&self, moment: Instant) -> Timestamp {
        self.started.0.plus_millis((moment - self.started.1).as_millis() as u64)
    }

    /// The timeout of an attempt.
    fn time(&self) -> Duration {
        Duration::from_millis(self.limits.timeout_ms.into())
    }

    /// Runs one attempt. While it waits, buffered results are written, and the following tasks are released if the chunk takes too long.
    async fn attempt(
        &mut self,
        Pending { position, attempt }: Pending,
        started: Instant,
        cancelled: &CancellationToken,
    ) -> Result<Timed, JournalError> {
        let (batch, worker) = (self.batch, self.worker);
        let lease = self.assignment.lease().id;
        let task = Task { index: batch.order.index(position), seed: batch.spec.seed, lap: self.lap(), attempt, lease };
        worker.status.start(position, attempt, self.at(started));
        let cancelled = async {
            tokio::select! {
                biased;
                () = cancelled.cancelled() => {}
                () = worker.context.aborting.cancelled() => {}
            }
        };
        let trying = attempt::run(self.work, task, started, self.time(), cancelled, &batch.panics);
        let mut trying = std::pin::pin!(trying);
        if let Poll::Ready(result) = futures::poll!(&mut trying) {
            return Ok(Timed { result, waited: false, ended: Instant::now() });
        }
        let _waiting = batch.estimate.wait();
        let next = Position(position.0 + 1);
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

    fn record(&mut self, task: Pending, started: Instant, took: Duration, result: Result<Done, TaskError>) {
        let Pending { position, attempt } = task;
        self.key_pause = self.key_pause.max(result.as_ref().err().and_then(|error| error.key_pause));
        if let Err(TaskError { retry: Retry::Snooze(time), .. }) = result {
            return self.again.push((task, Delay::Exactly(time)));
        }
        let result = result.and_then(Settled::of);
        let run = AttemptRun {
            first: position,
            count: 1,
            number: attempt,
            started_at: self.at(started),
            took_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
            error: result.as_ref().err().map(|error| shortened(&error.message, MAX_ATTEMPT_ERROR)),
        };
        self.buffer.attempted(run, started + took);
        let may_try_again = attempt < self.limits.attempts;
        let Settled { outcome, detail } = match result {
            Ok(done) => done,
            Err(TaskError { retry: Retry::Soon, .. }) if may_try_again => {
                return self.again.push((task, Delay::AtLeast(Duration::ZERO)));
            }
            Err(TaskError { retry: Retry::After(pause), .. }) if may_try_again => {
                return self.again.push((task, Delay::AtLeast(pause)));
            }
            Err(error) => Settled::failed(error, self.lap()),
        };
        self.buffer.settled(Settlement { position, outcome });
        if let Some(detail) = detail {
            self.buffer.detailed(self.batch.order.index(position), detail);
        }
    }

    /// Writes the buffer. Retries until the journal is available, so that finished tasks do not run again.
    async fn write(&mut self) -> Result<(), JournalError> {
        let worker = self.worker;
        let (events, details) = self.buffer.take(self.lap(), &worker.status.worker, worker.context.clock.now());
        if events.is_empty() {
            return Ok(());
        }
        let write =
            retry_while_unavailable(|| worker.context.journal.append(self.batch.id(), events.clone(), details.clone()));
        let written = worker.context.aborting.run_until_cancelled(write).await;
        self.written = written.unwrap_or(Err(JournalError::Closed))?;
        Ok(())
    }

    /// Releases the tasks from a position on.
    fn give_back_from(&mut self, cut: Position) {
        if cut < self.end {
            self.end = cut;
            self.assignment.shrink(cut);
        }
    }

    /// The result of the chunk after everything has been written. Failed tasks are retried in groups. Other tasks between those of a group
    /// are settled, and skipped.
    fn release(&self, measured: Option<Measurement>) -> Release {
        // Groups have a minimum size, so that repeated retries do not produce smaller and smaller groups.
        let least = self.batch.estimate.chunk_size() as usize / RETRY_GROUPS;
        let size = self.again.len().div_ceil(RETRY_GROUPS).max(least).max(1);
        let retries = self.again.chunks(size).filter_map(|group| {
            let (first, last) = (group.first()?.0.position, group.last()?.0.position);
            let failed = group.iter().filter(|(_, delay)| matches!(delay, Delay::AtLeast(_)));
            let least = group.iter().map(|(_, delay)| delay.least()).max().unwrap_or_default();
            let delay = failed.map(|(task, _)| task.attempt).max().map_or(least, |attempt| {
                let index = self.batch.order.index(first);
                let lease = self.assignment.lease().id;
                let task = Task { index, seed: self.batch.spec.seed, lap: self.lap(), attempt, lease };
                backoff::after(attempt, &mut task.attempt_rng()).max(least)
            });
            Some(RetryGroup { first, end: Position(last.0 + 1), delay })
        });
        Release {
            done_to: self.end,
            after: self.written,
            retries: retries.collect(),
            measured,
            avoid: None,
            key_pause: self.key_pause,
            class: Some(self.work.slot_class()),
        }
    }
}

/// An outcome and its encoded detail.
struct Settled {
    outcome: Outcome,
    detail: Option<Bytes>,
}

impl Settled {
    /// A task with a detail that is too large has failed.
    fn of(done: Done) -> Result<Self, TaskError> {
        let detail = done.detail.map(|detail| StoredDetail::Plain(detail).encode());
        match detail.as_ref().map(Bytes::len).filter(|bytes| *bytes > MAX_DETAIL) {
            Some(bytes) => Err(too_large(bytes)),
            None => Ok(Self { outcome: Outcome::Done(done.color), detail }),
        }
    }

    fn failed(error: TaskError, lap: u32) -> Self {
        let TaskError { reason, message, detail, .. } = error;
        let has_more_to_say = message != reason;
        let failure = StoredDetail::Failure {
            message: has_more_to_say.then(|| shortened(&message, MAX_MESSAGE)),
            detail: detail.map(|detail| *detail),
        };
        let encoded = failure.encode();
        if encoded.len() > MAX_DETAIL + MAX_MESSAGE {
            return Self::failed(too_large(encoded.len()), lap);
        }
        // In a later lap it replaces the detail of an earlier lap, even if it is empty.
        let is_stored = lap > 1 || has_more_to_say || matches!(failure, StoredDetail::Failure { detail: Some(_), .. });
        Self { outcome: Outcome::Failed(short_reason(&reason).into()), detail: is_stored.then_some(encoded) }
    }
}

fn too_large(bytes: usize) -> TaskError {
    let message = format!("its detail has {bytes} bytes; at most {MAX_DETAIL} are kept");
    TaskError::permanent("its detail is too large").with_message(message)
}

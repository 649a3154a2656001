//! Runs the tasks of one chunk, one after another, and writes their results.

use std::sync::Arc;
use std::time::Duration;

use quilt::{AttemptRun, Index, LapLimits, Position, Settlement, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::backoff;
use super::context::Worker;
use super::settled::Settled;
use super::source::Assignment;
use super::write_buffer::WriteBuffer;
use crate::dispatch::{LEASE_TTL, Measurement, PROBE_TIME, Release, RetryGroup};
use crate::estimate::CHUNK_TIME;
use crate::journal::{JournalError, Sequence, retry_while_unavailable};
use crate::live::{LiveBatch, Pending};
use crate::work::{Done, Retry, Task, TaskError, Work, shortened};

/// When a chunk takes longer than this, the rest of it is released. The estimate is based on few tasks, so a chunk can be far too long.
const OVERTIME: Duration = CHUNK_TIME.saturating_mul(2);

/// How long a worker waits for the confirmation of its lease until it releases the lease.
const CONFIRMATION_PATIENCE: Duration = LEASE_TTL.saturating_mul(4);

/// The maximum number of retry groups of a chunk. Each has its own delay.
const RETRY_GROUPS: usize = 8;

/// The maximum length of the stored error of an attempt, in bytes. Up to [`MAX_MESSAGE`](crate::work::MAX_MESSAGE) bytes of a failed task's
/// last error are stored with its square.
const MAX_ATTEMPT_ERROR: usize = 256;

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

/// What was run of a chunk.
#[derive(Default)]
pub(super) struct Tried {
    /// The number of tasks.
    pub(super) tasks: u32,
    /// From the start of the first one to the end of the last one. It includes the time that other tasks had on this thread, so with more
    /// workers than processors chunks get smaller.
    pub(super) elapsed: Duration,
    /// Whether one of them waited.
    pub(super) has_waited: bool,
    /// The attempt that is unresponsive, if there is one.
    pub(super) unresponsive: Option<JoinHandle<()>>,
}

/// A chunk that is being run.
pub(super) struct ChunkRun<'a> {
    pub(super) worker: &'a Worker,
    pub(super) batch: &'a Arc<LiveBatch>,
    pub(super) work: &'a Work,
    pub(super) assignment: &'a Assignment,
    /// The end of this worker's positions. It moves when the lease is shortened.
    pub(super) end: Position,
    pub(super) buffer: WriteBuffer,
    /// The sequence of the journal after the last write.
    written: Sequence,
    /// The limits of the lap.
    pub(super) limits: LapLimits,
    /// The tasks to run again, with their delays.
    again: Vec<(Pending, Delay)>,
    /// How long no other task with the key of this chunk may start.
    key_pause: Option<Duration>,
    /// The same moment on both clocks.
    pub(super) started: (Timestamp, Instant),
    /// When the rest of the chunk is released.
    pub(super) overtime: Instant,
    /// When the last task ended.
    pub(super) last_ended: Instant,
}

impl<'a> ChunkRun<'a> {
    pub(super) fn new(
        worker: &'a Worker,
        (batch, work): (&'a Arc<LiveBatch>, &'a Work),
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
            last_ended: started.1,
            overtime: started.1 + if assignment.is_probe() { PROBE_TIME } else { OVERTIME },
        }
    }

    /// Runs the pending tasks and writes their results.
    pub(super) async fn run(mut self) -> Result<ChunkResult, JournalError> {
        let tried = match self.work {
            Work::Async(work) => self.run_async(&**work).await?,
            Work::Blocking(work) => self.run_blocking(work).await?,
        };
        self.write().await?;
        let Tried { tasks, elapsed, has_waited, unresponsive } = tried;
        let measured = (tasks > 0).then_some(Measurement { tasks, elapsed, has_waited });
        Ok(ChunkResult { release: self.release(measured), unresponsive })
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

    /// A task of the chunk. Only its index and its attempt differ from the others.
    pub(super) fn task(&self) -> Task {
        let lease = self.assignment.lease().id;
        Task { index: Index(0), seed: self.batch.spec.seed, lap: self.lap(), attempt: 1, lease }
    }

    pub(super) fn lap(&self) -> u32 {
        self.assignment.lease().lap.lap
    }

    /// Whether the lease is still valid. After a stall this writes the results, because other workers would run the tasks again if the lease
    /// is lost, and waits for its coordinator's confirmation.
    pub(super) async fn may_start(&mut self) -> Result<bool, JournalError> {
        if self.assignment.validity().holds() {
            return Ok(true);
        }
        self.write().await?;
        let confirmed = self.assignment.validity().is_confirmed(CONFIRMATION_PATIENCE);
        Ok(self.worker.context.stopping.run_until_cancelled(confirmed).await.unwrap_or(false))
    }

    /// Converts a moment of this run to a timestamp.
    pub(super) fn at(&self, moment: Instant) -> Timestamp {
        self.started.0.plus_millis((moment - self.started.1).as_millis() as u64)
    }

    /// The timeout of an attempt.
    pub(super) fn time(&self) -> Duration {
        Duration::from_millis(self.limits.timeout_ms.into())
    }

    pub(super) fn record(&mut self, task: Pending, started: Instant, took: Duration, result: Result<Done, TaskError>) {
        let Pending { position, index, attempt } = task;
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
            self.buffer.detailed(index, detail);
        }
    }

    /// Writes the buffer. Retries until the journal is available, so that finished tasks do not run again.
    pub(super) async fn write(&mut self) -> Result<(), JournalError> {
        let worker = self.worker;
        let (events, details) = self.buffer.take(self.lap(), &worker.status.worker, worker.context.clock.now());
        if events.is_empty() {
            return Ok(());
        }
        let (journal, batch) = (&worker.context.journal, self.batch.id());
        let ending = self.batch.ending(&events);
        let write = retry_while_unavailable(|| match ending.clone() {
            Some(ending) => journal.append_ending(batch, events.clone(), details.clone(), ending),
            None => journal.append(batch, events.clone(), details.clone()),
        });
        let written = worker.context.aborting.run_until_cancelled(write).await;
        self.written = written.unwrap_or(Err(JournalError::Closed))?;
        Ok(())
    }

    /// Releases the tasks from a position on.
    pub(super) fn give_back_from(&mut self, cut: Position) {
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
                let task = Task { index: self.batch.order.index(first), attempt, ..self.task() };
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

//! The running of one lease: its tasks one after the other, and what came of them.

use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use quilt::{AttemptRun, LapLimits, Outcome, Position, Settlement, Timestamp, short_reason};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::attempt::{self, Tried};
use crate::backoff;
use crate::gathered::Gathered;
use crate::journal::{JournalError, until_available};
use crate::live::{LiveBatch, Pending};
use crate::pace::LEASE_TIME;
use crate::queue::{ClaimId, Lease};
use crate::work::{Done, MAX_DETAIL, MAX_MESSAGE, Retry, StoredDetail, Task, TaskError, shortened};
use crate::worker::Worker;

/// When a lease has turned out to be too long: what is left of it goes back to the queue. Few tasks tell little of the others, so that
/// a stride can be far off.
const OVERTIME: Duration = LEASE_TIME.saturating_mul(2);

/// How long tasks that never wait may keep a thread to themselves.
const SLICE: Duration = Duration::from_micros(50);

/// The most leases into which the tasks of one lease go that are tried again. Each waits for a time of its own.
const RETRY_GROUPS: usize = 8;

/// The longest message that is kept of an attempt, in bytes. The last one of a task that failed is kept in full beside its square.
const MAX_ATTEMPT_ERROR: usize = 256;

/// How a try went, and when.
struct Timed {
    tried: Tried,
    /// Whether it had to be waited for.
    waited: bool,
    ended: Instant,
}

/// A lease that a worker runs.
pub(crate) struct LeaseRun<'a> {
    worker: &'a Worker,
    batch: &'a LiveBatch,
    claim: ClaimId,
    lease: Lease,
    gathered: Gathered,
    /// Those of its lap.
    limits: LapLimits,
    /// What failed, and is to be tried again, and after how long at the earliest.
    again: Vec<(Pending, Duration)>,
    /// One moment on both clocks.
    started: (Timestamp, Instant),
    /// When what is left of the lease is for others.
    overtime: Instant,
}

impl<'a> LeaseRun<'a> {
    pub(crate) fn new(worker: &'a Worker, batch: &'a LiveBatch, claim: ClaimId, lease: Lease) -> Self {
        let started = (worker.clock.now(), Instant::now());
        let overtime = started.1 + OVERTIME;
        Self {
            worker,
            batch,
            claim,
            limits: batch.limits(),
            lease,
            gathered: Gathered::default(),
            again: Vec::new(),
            started,
            overtime,
        }
    }

    /// Runs the tasks that are still pending and writes what came of them. What is left goes back to the queue. Returns the attempt that does
    /// not stop, if there is one.
    pub(crate) async fn run(mut self) -> Result<Option<JoinHandle<()>>, JournalError> {
        let mut tried = 0;
        let mut has_waited = false;
        let mut runaway = None;
        let mut started = Instant::now();
        let mut sliced = started;
        let mut is_stopping = self.worker.stopping.is_cancelled();
        let cancelled = self.batch.cancellation(self.lease.lap);
        for task in self.batch.pending(&self.lease) {
            if task.position >= self.lease.positions.end {
                // Handed on.
                break;
            }
            if is_stopping || !self.batch.is_running() {
                self.hand_on(task.position).await;
                break;
            }
            let next = Position(task.position.0 + 1);
            let Timed { tried: result, waited, ended } = self.try_task(task, started, &cancelled).await?;
            self.worker.desk.end();
            has_waited |= waited;
            let mut now = ended;
            let took = now - started;
            match result {
                Tried::Ended(result) => self.note(task, started, took, result),
                Tried::GivenUp => {
                    self.hand_on(task.position).await;
                    break;
                }
                Tried::Runaway(attempt, error) => {
                    self.note(task, started, took, Err(error));
                    self.hand_on(next).await;
                    runaway = Some(attempt);
                }
            }
            tried += 1;
            if self.gathered.is_due(now) {
                self.write().await?;
                now = Instant::now();
            }
            if now >= self.overtime {
                self.hand_on(next).await;
            }
            if now - sliced >= SLICE {
                yield_now().await;
                // Now and then is enough: it takes a lock that all workers share.
                is_stopping = self.worker.stopping.is_cancelled();
                now = Instant::now();
                sliced = now;
            }
            started = now;
        }
        // With the time that others had on this thread: where there are more workers than processors, leases get shorter.
        self.batch.pace.measured(tried, started - self.started.1, has_waited);
        self.write().await?;
        self.try_again().await;
        Ok(runaway)
    }

    /// Settles the tasks without running them, because those who tried were lost.
    pub(crate) async fn give_up(mut self, losses: u32) -> Result<(), JournalError> {
        for task in self.batch.pending(&self.lease) {
            let message = format!("{losses} workers were lost while they ran it");
            tracing::error!(batch = %self.lease.batch, position = task.position.0, message, "a task is given up");
            let error = TaskError::permanent("workers were lost").with_message(message);
            self.note(task, self.started.1, Duration::ZERO, Err(error));
        }
        self.write().await
    }

    /// A moment of this lease on the other clock.
    fn at(&self, moment: Instant) -> Timestamp {
        self.started.0.plus_millis((moment - self.started.1).as_millis() as u64)
    }

    /// How long an attempt may take.
    fn time(&self) -> Duration {
        Duration::from_millis(self.limits.timeout_ms.into())
    }

    /// Runs a task once. Neither what was gathered before it nor what comes after it waits with it, and it does not wait for them.
    async fn try_task(
        &mut self,
        Pending { position, attempt }: Pending,
        started: Instant,
        cancelled: &CancellationToken,
    ) -> Result<Timed, JournalError> {
        let (batch, worker) = (self.batch, self.worker);
        let task = Task { index: batch.order.index(position), seed: batch.spec.seed, lap: self.lease.lap, attempt };
        worker.desk.start(position, attempt, self.at(started));
        let given_up = async {
            tokio::select! {
                biased;
                () = cancelled.cancelled() => {}
                () = worker.aborting.cancelled() => {}
            }
        };
        let trying = attempt::run(&batch.work, task, started, self.time(), given_up, &batch.panics);
        let mut trying = std::pin::pin!(trying);
        if let Poll::Ready(tried) = futures::poll!(&mut trying) {
            return Ok(Timed { tried, waited: false, ended: Instant::now() });
        }
        let _waiting = batch.pace.wait();
        let next = Position(position.0 + 1);
        loop {
            tokio::select! {
                biased;
                tried = &mut trying => return Ok(Timed { tried, waited: true, ended: Instant::now() }),
                () = self.gathered.due() => {
                    let mut writing = std::pin::pin!(self.write());
                    tokio::select! {
                        biased;
                        tried = &mut trying => {
                            let ended = Instant::now();
                            writing.await?;
                            return Ok(Timed { tried, waited: true, ended });
                        }
                        written = &mut writing => written?,
                    }
                }
                () = sleep_until(self.overtime), if next < self.lease.positions.end => self.hand_on(next).await,
            }
        }
    }

    fn note(&mut self, task: Pending, started: Instant, took: Duration, result: Result<Done, TaskError>) {
        let Pending { position, attempt } = task;
        let result = result.and_then(Settled::of);
        let run = AttemptRun {
            first: position,
            count: 1,
            number: attempt,
            started_at: self.at(started),
            took_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
            error: result.as_ref().err().map(|error| shortened(&error.message, MAX_ATTEMPT_ERROR)),
        };
        self.gathered.attempted(run, started + took);
        let may_try_again = attempt < self.limits.attempts;
        let Settled { outcome, detail } = match result {
            Ok(done) => done,
            Err(TaskError { retry: Retry::Soon, .. }) if may_try_again => {
                return self.again.push((task, Duration::ZERO));
            }
            Err(TaskError { retry: Retry::After(pause), .. }) if may_try_again => {
                return self.again.push((task, pause));
            }
            Err(error) => Settled::failed(error, self.lease.lap),
        };
        self.gathered.settled(Settlement { position, outcome });
        if let Some(detail) = detail {
            self.gathered.detailed(self.batch.order.index(position), detail);
        }
    }

    /// Writes what was gathered, as soon as that is possible: what has been run is not run again because a disk is full.
    async fn write(&mut self) -> Result<(), JournalError> {
        let worker = self.worker;
        let (events, details) = self.gathered.take(self.lease.lap, &worker.desk.worker, worker.clock.now());
        if events.is_empty() {
            return Ok(());
        }
        let write = until_available(|| worker.journal.append(self.lease.batch, events.clone(), details.clone()));
        let written = worker.aborting.run_until_cancelled(write).await;
        self.lease.after = written.unwrap_or(Err(JournalError::Closed))?;
        Ok(())
    }

    /// Puts the tasks from `cut` on back, for others to run.
    async fn hand_on(&mut self, cut: Position) {
        if let Some(tail) = self.lease.split_at(cut) {
            self.worker.queue.split(self.claim, tail).await;
        }
    }

    /// Puts what failed back, for after a while. What is settled by now between the tasks of a group is passed over.
    async fn try_again(&self) {
        // Groups of groups do not get smaller and smaller: one stride in all is as good as eight parts of it.
        let least = self.batch.pace.stride() as usize / RETRY_GROUPS;
        let size = self.again.len().div_ceil(RETRY_GROUPS).max(least).max(1);
        for group in self.again.chunks(size) {
            let (Some((first, _)), Some((last, _))) = (group.first(), group.last()) else { continue };
            let attempt = group.iter().map(|(task, _)| task.attempt).max().unwrap_or(1);
            let least = group.iter().map(|(_, pause)| *pause).max().unwrap_or_default();
            let lease = Lease { positions: first.position..Position(last.position.0 + 1), ..self.lease.clone() };
            let index = self.batch.order.index(first.position);
            let task = Task { index, seed: self.batch.spec.seed, lap: self.lease.lap, attempt };
            self.worker.queue.push(lease, backoff::after(attempt, &mut task.attempt_rng()).max(least)).await;
        }
    }
}

/// An outcome, with what is stored beside it.
struct Settled {
    outcome: Outcome,
    detail: Option<Bytes>,
}

impl Settled {
    /// A task that has too much to store has failed.
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
        // In a later lap it replaces what an earlier one has left, also with nothing.
        let is_stored = lap > 1 || has_more_to_say || matches!(failure, StoredDetail::Failure { detail: Some(_), .. });
        Self { outcome: Outcome::Failed(short_reason(&reason).into()), detail: is_stored.then_some(encoded) }
    }
}

fn too_large(bytes: usize) -> TaskError {
    let message = format!("its detail has {bytes} bytes; at most {MAX_DETAIL} are kept");
    TaskError::permanent("its detail is too large").with_message(message)
}

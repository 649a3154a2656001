//! Takes leases, runs their tasks, and writes the outcomes to the journal.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use quilt::{Event, Outcome, Position, Settlement};
use tokio::time::{interval_at, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::journal::{Journal, JournalError};
use crate::live::{LiveBatch, LiveBatches, Remaining};
use crate::pace::LEASE_TIME;
use crate::queue::{CLAIM_TIME, Claim, ClaimId, Lease, Queue};
use crate::work::{Task, TaskError};
use crate::{attempt, backoff, now};

/// How long outcomes are gathered before they are written: about a frame on a screen.
const GATHER_TIME: Duration = Duration::from_millis(16);

/// When a lease has turned out to be too long: what is left of it goes back to the queue. Few tasks tell little of the others, so that
/// a stride can be far off.
const OVERTIME: Duration = LEASE_TIME.saturating_mul(2);

/// How often a claim is extended.
const BEAT: Duration = Duration::from_secs(CLAIM_TIME.as_secs() / 3);

/// How long a lease waits after the journal could not be read or written.
const JOURNAL_PAUSE: Duration = Duration::from_secs(1);

/// How long a lease waits for this node to see its lap start.
const LAP_PAUSE: Duration = Duration::from_millis(20);

/// Runs one task at a time.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) batches: Arc<LiveBatches>,
    /// No more tasks are started.
    pub(crate) stopping: CancellationToken,
    /// Running tasks are given up.
    pub(crate) aborting: CancellationToken,
}

/// How one try at a task went.
enum Tried {
    /// The task has its outcome.
    Settled(Outcome),
    /// It failed, and will be tried again.
    Again,
    /// It was given up: the batch was cancelled or the process is ending.
    GivenUp,
}

impl Worker {
    /// Works until the process is ending.
    pub(crate) async fn run(self) {
        while let Some(Claim { id, lease }) = self.stopping.run_until_cancelled(self.queue.pull()).await {
            self.keep_while(id, self.run_lease(lease)).await;
            self.queue.finish(id).await;
        }
    }

    /// Extends a claim for as long as `running` takes.
    async fn keep_while(&self, claim: ClaimId, running: impl Future<Output = ()>) {
        let mut running = std::pin::pin!(running.fuse());
        // An interval's first tick can take a millisecond, which is longer than many a lease runs.
        let mut beats = interval_at(tokio::time::Instant::now() + BEAT, BEAT);
        loop {
            tokio::select! {
                biased;
                () = &mut running => return,
                _ = beats.tick() => self.queue.extend(claim).await,
            }
        }
    }

    /// Runs the head of a lease; the rest goes back to the queue.
    async fn run_lease(&self, lease: Lease) {
        let batch = match self.batches.open(lease.batch).await {
            Ok(Some(batch)) => batch,
            Ok(None) => return,
            Err(error) => return self.put_off(lease, &error).await,
        };
        let mut lease = match batch.remaining(&lease) {
            Remaining::Some(lease) => lease,
            Remaining::Nothing => return,
            Remaining::Unknown => return self.queue.push(lease, LAP_PAUSE).await,
        };
        if let Some(tail) = lease.split_off(batch.pace.stride()) {
            self.queue.push(tail, Duration::ZERO).await;
        }
        let _occupied = batch.occupy();
        match self.run_tasks(&batch, &mut lease).await {
            Ok(left) => {
                for (lease, delay) in left {
                    self.queue.push(lease, delay).await;
                }
            }
            // What was written is passed over when the lease comes again.
            Err(error) => self.put_off(lease, &error).await,
        }
    }

    /// Runs the tasks of a lease one after the other and writes their outcomes. Returns what is left to run, and when.
    async fn run_tasks(&self, batch: &LiveBatch, lease: &mut Lease) -> Result<Vec<(Lease, Duration)>, JournalError> {
        let overtime = tokio::time::Instant::now() + OVERTIME;
        let mut left = Vec::new();
        let mut gathered = Gathered::default();
        let mut running = Duration::ZERO;
        let mut tried = 0;
        for position in batch.pending(lease) {
            if position >= lease.positions.end {
                // Handed on.
                break;
            }
            let started = Instant::now();
            let mut trying = std::pin::pin!(self.try_task(batch, lease.lap, lease.attempt, position));
            let result = loop {
                // Neither what was gathered before a task nor what comes after it waits for one that takes long.
                tokio::select! {
                    biased;
                    result = &mut trying => break result,
                    () = gathered.due() => self.write(batch, lease, &mut gathered).await?,
                    () = sleep_until(overtime), if position.0 + 1 < lease.positions.end.0 => self.hand_on(lease, position).await,
                }
            };
            match result {
                Tried::Settled(outcome) => gathered.push(Settlement { position, outcome }),
                Tried::Again => {
                    let again = Lease { attempt: lease.attempt + 1, positions: only(position), ..lease.clone() };
                    left.push((again, backoff::after(lease.attempt)));
                }
                Tried::GivenUp => {
                    let rest = Lease { positions: position..lease.positions.end, ..lease.clone() };
                    left.push((rest, Duration::ZERO));
                    break;
                }
            }
            running += started.elapsed();
            tried += 1;
            if gathered.is_due() {
                self.write(batch, lease, &mut gathered).await?;
            }
            if running >= OVERTIME {
                self.hand_on(lease, position).await;
            }
            // Tasks that never wait would otherwise keep everything else on this thread waiting.
            tokio::task::consume_budget().await;
        }
        batch.pace.measured(tried, running);
        self.write(batch, lease, &mut gathered).await?;
        Ok(left)
    }

    /// Cuts off what comes behind a position, for others to run.
    async fn hand_on(&self, lease: &mut Lease, position: Position) {
        if let Some(tail) = lease.split_off(position.0 + 1 - lease.positions.start.0) {
            self.queue.push(tail, Duration::ZERO).await;
        }
    }

    async fn try_task(&self, batch: &LiveBatch, lap: u32, attempt: u8, position: Position) -> Tried {
        if self.stopping.is_cancelled() {
            return Tried::GivenUp;
        }
        let (task, attempts, timeout) = {
            let folded = batch.folded();
            let spec = folded.quilt.spec();
            let index = folded.quilt.order().index(position);
            let task = Task { index, seed: spec.seed, lap, attempt };
            (task, spec.attempts, Duration::from_millis(spec.timeout_ms.into()))
        };
        let result = tokio::select! {
            biased;
            () = batch.cancelled.cancelled() => return Tried::GivenUp,
            () = self.aborting.cancelled() => return Tried::GivenUp,
            result = attempt::run(&*batch.work, task, timeout) => result,
        };
        match result {
            Ok(color) => Tried::Settled(Outcome::Done(color)),
            Err(TaskError::Retryable(_)) if attempt < attempts => Tried::Again,
            Err(error) => Tried::Settled(Outcome::Failed(attempt::reason(&error))),
        }
    }

    async fn write(&self, batch: &LiveBatch, lease: &Lease, gathered: &mut Gathered) -> Result<(), JournalError> {
        match gathered.take() {
            Some(settlements) => {
                let settled = Event::Settled { lap: lease.lap, at: now(), settlements };
                self.journal.append(batch.id(), settled).await
            }
            None => Ok(()),
        }
    }

    async fn put_off(&self, lease: Lease, error: &JournalError) {
        tracing::error!(batch = %lease.batch, %error, "a lease has to wait");
        self.queue.push(lease, JOURNAL_PAUSE).await;
    }
}

fn only(position: Position) -> Range<Position> {
    position..Position(position.0 + 1)
}

/// Outcomes on their way to the journal.
#[derive(Default)]
struct Gathered {
    settlements: Vec<Settlement>,
    since: Option<Instant>,
}

impl Gathered {
    fn push(&mut self, settlement: Settlement) {
        self.since.get_or_insert_with(Instant::now);
        self.settlements.push(settlement);
    }

    /// Waits until what was gathered has to be written.
    async fn due(&self) {
        match self.since {
            Some(since) => sleep(GATHER_TIME.saturating_sub(since.elapsed())).await,
            None => std::future::pending().await,
        }
    }

    fn is_due(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= GATHER_TIME)
    }

    fn take(&mut self) -> Option<Vec<Settlement>> {
        self.since.take().map(|_| std::mem::take(&mut self.settlements))
    }
}

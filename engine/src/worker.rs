//! Takes leases, and decides what becomes of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::interval_at;
use tokio_util::sync::CancellationToken;

use crate::activity::Desk;
use crate::clock::Clock;
use crate::journal::{Journal, JournalError, PAUSE};
use crate::lease_run::LeaseRun;
use crate::live::{LiveBatch, LiveBatches, PLACE_PAUSE, Turn};
use crate::queue::{CLAIM_TIME, Claim, ClaimId, Lease, Queue};

/// How often a claim is extended.
const BEAT: Duration = Duration::from_secs(CLAIM_TIME.as_secs() / 3);

/// Runs one task at a time.
#[derive(Clone)]
pub(crate) struct Worker {
    /// Its name, which stands in the journal with what it ran, and what it is doing.
    pub(crate) desk: Arc<Desk>,
    /// How many workers there are.
    pub(crate) workers: u32,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) batches: Arc<LiveBatches>,
    pub(crate) clock: Clock,
    /// Held by those workers that wait for a place with a batch.
    pub(crate) queueing: Arc<Semaphore>,
    /// How many workers wait for an attempt that does not stop.
    pub(crate) stuck: Arc<AtomicU32>,
    /// No more tasks are started.
    pub(crate) stopping: CancellationToken,
    /// Running tasks are given up.
    pub(crate) aborting: CancellationToken,
}

impl Worker {
    /// Works until the process is ending.
    pub(crate) async fn run(self) {
        while let Some(Claim { id, lease }) = self.stopping.run_until_cancelled(self.queue.pull()).await {
            let runaway = self.keep_while(id, self.take(lease)).await;
            self.queue.finish(id).await;
            if let Some(attempt) = runaway {
                self.wait_for(attempt).await;
            }
        }
    }

    /// Extends a claim for as long as `running` takes.
    async fn keep_while<T>(&self, claim: ClaimId, running: impl Future<Output = T>) -> T {
        let mut running = std::pin::pin!(running.fuse());
        // An interval's first tick can take a millisecond, which is longer than many a lease runs.
        let mut beats = interval_at(tokio::time::Instant::now() + BEAT, BEAT);
        loop {
            tokio::select! {
                biased;
                result = &mut running => return result,
                _ = beats.tick() => self.queue.extend(claim).await,
            }
        }
    }

    /// Runs the head of a lease; the rest goes back to the queue. Returns the attempt that does not stop, if there is one.
    async fn take(&self, lease: Lease) -> Option<JoinHandle<()>> {
        match self.run_head(&lease).await {
            Ok(runaway) => runaway,
            Err(JournalError::Removed | JournalError::Closed) => None,
            Err(error @ (JournalError::Damaged { .. } | JournalError::Corrupt(_))) => {
                tracing::error!(batch = %lease.batch, %error, "a lease is left alone");
                None
            }
            // The batch could not be read. A lease that runs does not end with this.
            Err(error @ JournalError::Unavailable(_)) => {
                tracing::debug!(batch = %lease.batch, %error, "a lease has to wait");
                self.queue.push(lease, PAUSE).await;
                None
            }
        }
    }

    async fn run_head(&self, lease: &Lease) -> Result<Option<JoinHandle<()>>, JournalError> {
        let Some(batch) = self.batches.open(lease.batch).await? else { return Ok(None) };
        let turn = loop {
            match batch.turn(lease) {
                Turn::Full if self.wait_for_place(&batch).await => {}
                turn => break turn,
            }
        };
        match turn {
            Turn::Over => Ok(None),
            Turn::Later(pause) => {
                self.queue.push(lease.clone(), pause).await;
                Ok(None)
            }
            Turn::Full => {
                self.queue.push(lease.clone(), PLACE_PAUSE).await;
                Ok(None)
            }
            Turn::Now(mut head, _occupied) => {
                if let Some(tail) = head.split_off(batch.stride(&head, self.workers)) {
                    self.queue.push(tail, Duration::ZERO).await;
                }
                let _shown = self.desk.occupy(batch.id());
                LeaseRun::new(self, &batch, head).run().await
            }
        }
    }

    /// Waits for a place with a batch, if few workers do so: most have better to do.
    async fn wait_for_place(&self, batch: &LiveBatch) -> bool {
        let Ok(_one_of_few) = self.queueing.try_acquire() else { return false };
        batch.places.wait_for_one().await
    }

    /// Does nothing while an attempt goes on that nobody waits for any more. So there are never more of them than workers, and the rest of the
    /// server does not notice.
    async fn wait_for(&self, attempt: JoinHandle<()>) {
        tracing::error!(
            worker = self.desk.worker,
            "an attempt does not stop though its time is over; its worker waits for it"
        );
        self.stuck.fetch_add(1, Ordering::Relaxed);
        self.stopping.run_until_cancelled(attempt).await;
        self.stuck.fetch_sub(1, Ordering::Relaxed);
        tracing::info!(worker = self.desk.worker, "no longer waiting for it");
    }
}

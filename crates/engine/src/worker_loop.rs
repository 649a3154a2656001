//! Takes leases, and decides what becomes of each.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::journal::{JournalError, PAUSE};
use crate::lease_run::LeaseRun;
use crate::live::{FOLD_PAUSE, LiveBatch, PLACE_PAUSE, RESUME_PAUSE, Turn};
use crate::queue::{BEAT, Claim, ClaimId};
use crate::worker::Worker;

/// How often the holders of a task may be lost before it is taken for what kills them. It has to have been alone in its lease.
const MAX_LOSSES: u32 = 5;

/// How long a lease waits that this node cannot read, for others to take it.
const OTHERS_PAUSE: Duration = Duration::from_secs(5);

/// What became of a lease.
enum Taken {
    /// What was to be run of it has been run and written, or is somebody else's now.
    Done,
    /// The process is ending, and not all is written. The claim is left to come back to somebody else.
    Interrupted,
    /// An attempt of it does not stop.
    Runaway(JoinHandle<()>),
}

impl Worker {
    /// Works until the process is ending.
    pub(crate) async fn run(self) {
        while let Some(claim) = self.stopping.run_until_cancelled(self.queue.pull()).await {
            let id = claim.id;
            match self.keep_while(id, self.take(claim)).await {
                Taken::Done => self.queue.finish(id).await,
                Taken::Interrupted => {}
                Taken::Runaway(attempt) => {
                    self.queue.finish(id).await;
                    self.wait_for(attempt).await;
                }
            }
        }
    }

    /// Extends a claim for as long as `running` takes.
    async fn keep_while<T>(&self, claim: ClaimId, running: impl Future<Output = T>) -> T {
        // The one does not wait for the other.
        let extending = async {
            loop {
                sleep(BEAT).await;
                self.queue.extend(claim).await;
            }
        };
        tokio::select! {
            biased;
            result = running => result,
            never = extending => never,
        }
    }

    /// Runs the head of a lease; the rest goes back to the queue.
    async fn take(&self, claim: Claim) -> Taken {
        let result = self.run_head(&claim).await;
        let lease = claim.lease;
        match result {
            Ok(None) | Err(JournalError::Removed) => Taken::Done,
            Ok(Some(attempt)) => Taken::Runaway(attempt),
            Err(JournalError::Closed) => Taken::Interrupted,
            Err(error) if error.is_of_a_later_version() => {
                tracing::warn!(batch = %lease.batch, %error, "a lease is left to other nodes");
                self.queue.push(lease, OTHERS_PAUSE).await;
                Taken::Done
            }
            Err(error @ (JournalError::Damaged { .. } | JournalError::Corrupt(_))) => {
                tracing::error!(batch = %lease.batch, %error, "a lease is left alone");
                Taken::Done
            }
            // The batch could not be read. A lease that runs does not end with this.
            Err(error @ JournalError::Unavailable(_)) => {
                tracing::debug!(batch = %lease.batch, %error, "a lease has to wait");
                self.queue.push(lease, PAUSE).await;
                Taken::Done
            }
        }
    }

    async fn run_head(&self, claim: &Claim) -> Result<Option<JoinHandle<()>>, JournalError> {
        let lease = &claim.lease;
        let Some(batch) = self.batches.open(lease.batch).await? else { return Ok(None) };
        let turn = loop {
            match batch.turn(lease, &self.colleagues) {
                Turn::Full if self.wait_for_place(&batch).await => {}
                Turn::Behind if batch.wait_for_fold(lease.after).await => {}
                turn => break turn,
            }
        };
        match turn {
            Turn::Over => Ok(None),
            Turn::Paused => self.put_back(claim, RESUME_PAUSE).await,
            Turn::Behind => self.put_back(claim, FOLD_PAUSE).await,
            Turn::Full => self.put_back(claim, PLACE_PAUSE).await,
            Turn::Now(mut head, _occupied) => {
                // If one of its tasks kills whoever runs it, the rest gets away from it, and at last it is alone.
                let is_deadly = lease.losses >= MAX_LOSSES && head.len() == 1;
                let half = head.len() >> lease.losses.min(u32::BITS - 1);
                if let Some(tail) = head.split_off(batch.stride(&head, self.colleagues.slots()).min(half)) {
                    self.queue.split(claim.id, tail).await;
                }
                let _shown = self.desk.occupy(batch.id());
                let run = LeaseRun::new(self, &batch, claim.id, head);
                if is_deadly { run.give_up(lease.losses).await.map(|()| None) } else { run.run().await }
            }
        }
    }

    async fn put_back(&self, claim: &Claim, pause: Duration) -> Result<Option<JoinHandle<()>>, JournalError> {
        self.queue.push(claim.lease.clone(), pause).await;
        Ok(None)
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

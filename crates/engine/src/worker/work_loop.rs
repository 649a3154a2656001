//! Takes leases, runs their chunks, and releases the leases.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::chunk_run::{ChunkResult, ChunkRun};
use super::context::Worker;
use super::source::Assignment;
use crate::dispatch::{LeaseMode, Release};
use crate::journal::{JournalError, RETRY_PAUSE};
use crate::live::LiveBatch;

/// How long this node is granted no chunks of a batch that it cannot read. Other nodes may be able to.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(5);

/// How long this node is granted no chunks of a batch whose work it does not know. Other nodes may know it.
const UNABLE_PAUSE: Duration = Duration::from_secs(60);

impl Worker {
    /// Runs a chunk.
    pub(super) async fn work_on(&self, assignment: Assignment) {
        if let Some(attempt) = self.run(assignment).await {
            self.wait_for(attempt).await;
        }
    }

    /// Runs a chunk. Returns the attempt that is unresponsive, if there is one.
    async fn run(&self, assignment: Assignment) -> Option<JoinHandle<()>> {
        let lease = assignment.lease();
        let batch = match self.batch(&assignment).await {
            Ok(batch) => batch,
            Err(release) => {
                assignment.release(&release);
                return None;
            }
        };
        let work = match &batch.work {
            Ok(work) => work,
            Err(error) => {
                tracing::warn!(batch = %batch.id(), %error, "this node cannot run the batch, and leaves it to others");
                let release = Release::unable(lease, UNABLE_PAUSE);
                assignment.release(&release);
                return None;
            }
        };
        if work.slot_class() != assignment.class() {
            let release = Release::of_class(lease, work.slot_class());
            assignment.release(&release);
            return None;
        }
        let _shown = self.status.set_batch(batch.id());
        let run = ChunkRun::new(self, (&batch, work), &assignment);
        let result = match lease.mode {
            LeaseMode::FailAsPoison => run.fail_poisoned().await,
            LeaseMode::Run | LeaseMode::Probe => run.run().await,
        };
        match result {
            Ok(ChunkResult { release, unresponsive }) => {
                assignment.release(&release);
                unresponsive
            }
            Err(error) => {
                let release = refused(&assignment, &error);
                assignment.release(&release);
                None
            }
        }
    }

    /// Opens the batch of a lease, and waits until the required events have been applied.
    async fn batch(&self, assignment: &Assignment) -> Result<Arc<LiveBatch>, Release> {
        let lease = assignment.lease();
        let opened = self.context.batches.open(lease.lap.batch).await.map_err(|error| refused(assignment, &error))?;
        let batch = opened.ok_or_else(|| Release::nothing_left(lease))?;
        if batch.wait_for_fold(lease.after, lease.lap.lap).await {
            Ok(batch)
        } else {
            Err(Release::unable(lease, RETRY_PAUSE))
        }
    }

    /// Blocks the worker until an unresponsive attempt has ended, so that there are never more such attempts than workers.
    async fn wait_for(&self, attempt: JoinHandle<()>) {
        let worker = &self.status.worker;
        tracing::error!(worker, "an attempt does not stop though its time is over; its worker waits for it");
        let unresponsive = &self.context.unresponsive;
        unresponsive.fetch_add(1, Ordering::Relaxed);
        self.context.stopping.run_until_cancelled(attempt).await;
        unresponsive.fetch_sub(1, Ordering::Relaxed);
        tracing::info!(worker, "the attempt has stopped");
    }
}

/// The release of a lease whose batch cannot be read, or whose results cannot be written.
fn refused(assignment: &Assignment, error: &JournalError) -> Release {
    let lease = assignment.lease();
    let batch = lease.lap.batch;
    match error {
        JournalError::Removed => Release::nothing_left(lease),
        // The process is shutting down.
        JournalError::Closed => Release::untouched(lease),
        JournalError::Unavailable(_) | JournalError::Refused(_) => {
            tracing::debug!(%batch, %error, "a chunk cannot be run now");
            Release::unable(lease, RETRY_PAUSE)
        }
        error => {
            tracing::error!(%batch, %error, "this node cannot read the batch, and leaves it to others");
            Release::unable(lease, UNREADABLE_PAUSE)
        }
    }
}

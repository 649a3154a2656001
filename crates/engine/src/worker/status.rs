//! What each worker is running at this moment.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use quilt::{BatchId, Position, Timestamp};

use crate::cluster::RunningTask;
use crate::slots::Node;

/// The status of one worker. It is written for every task, and so without a lock.
pub(crate) struct WorkerStatus {
    /// Its name.
    pub(crate) worker: Box<str>,
    number: u32,
    /// The batch whose lease it has.
    batch: Mutex<Option<BatchId>>,
    position: AtomicU32,
    /// The number of the attempt; 0 between two of them.
    attempt: AtomicU32,
    /// In milliseconds, as [`Timestamp`].
    started_at: AtomicU64,
}

impl WorkerStatus {
    /// Of a worker of a node, which are numbered from 1.
    pub(crate) fn new(node: &Node, number: u32) -> Self {
        Self {
            worker: node.worker(number),
            number,
            batch: Mutex::default(),
            position: AtomicU32::new(0),
            attempt: AtomicU32::new(0),
            started_at: AtomicU64::new(0),
        }
    }

    /// The worker has a lease of this batch until the guard is dropped.
    pub(crate) fn set_batch(&self, batch: BatchId) -> BatchGuard<'_> {
        self.set(Some(batch));
        BatchGuard(self)
    }

    /// An attempt starts. A reader at the same moment may see half of this: it is a display, and not a record.
    pub(crate) fn start(&self, position: Position, attempt: u8, at: Timestamp) {
        self.position.store(position.0, Ordering::Relaxed);
        self.started_at.store(at.0, Ordering::Relaxed);
        self.attempt.store(attempt.into(), Ordering::Relaxed);
    }

    /// The attempt has ended.
    pub(crate) fn end(&self) {
        self.attempt.store(0, Ordering::Relaxed);
    }

    /// What the worker runs of a batch.
    pub(super) fn running(&self, batch: BatchId) -> Option<RunningTask> {
        let attempt = self.attempt.load(Ordering::Relaxed) as u8;
        let is_meant = || *self.batch.lock().unwrap_or_else(PoisonError::into_inner) == Some(batch);
        (attempt > 0 && is_meant()).then(|| RunningTask {
            worker: self.number,
            position: self.position.load(Ordering::Relaxed),
            attempt,
            started_at: self.started_at.load(Ordering::Relaxed),
        })
    }

    fn set(&self, batch: Option<BatchId>) {
        self.end();
        *self.batch.lock().unwrap_or_else(PoisonError::into_inner) = batch;
    }
}

/// Clears the status when it is dropped.
pub(crate) struct BatchGuard<'a>(&'a WorkerStatus);

impl Drop for BatchGuard<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

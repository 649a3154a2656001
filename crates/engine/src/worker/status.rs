//! The running task of each worker.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use quilt::{BatchId, Position, Timestamp};

use crate::cluster::RunningTask;
use crate::slots::Node;

/// The status of one worker. It is updated for every task, so the frequently written fields need no lock.
pub(crate) struct WorkerStatus {
    /// Its name.
    pub(crate) worker: Box<str>,
    number: u32,
    /// The batch of its lease.
    batch: Mutex<Option<BatchId>>,
    position: AtomicU32,
    /// The number of the attempt; 0 if none is running.
    attempt: AtomicU32,
    /// In milliseconds, as [`Timestamp`].
    started_at: AtomicU64,
}

impl WorkerStatus {
    /// For a worker of a node. Workers are numbered from 1.
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

    /// Sets the batch until the guard is dropped.
    pub(crate) fn set_batch(&self, batch: BatchId) -> BatchGuard<'_> {
        self.set(Some(batch));
        BatchGuard(self)
    }

    /// Sets the running attempt. Concurrent readers may see a partial update. This is acceptable, because the status is only displayed.
    pub(crate) fn start(&self, position: Position, attempt: u8, at: Timestamp) {
        self.position.store(position.0, Ordering::Relaxed);
        self.started_at.store(at.0, Ordering::Relaxed);
        self.attempt.store(attempt.into(), Ordering::Relaxed);
    }

    /// Clears the running attempt.
    pub(crate) fn end(&self) {
        self.attempt.store(0, Ordering::Relaxed);
    }

    /// The running task of the worker, if it belongs to a batch.
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

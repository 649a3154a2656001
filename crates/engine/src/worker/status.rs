//! What each worker is running at this moment.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use quilt::wire::{Running, WorkerLoad};
use quilt::{BatchId, Position, Timestamp};

use crate::cluster::RunningTask;

/// The status of one worker. It is written for every task, and so without a lock.
pub(crate) struct WorkerStatus {
    /// Its name.
    pub(crate) worker: Box<str>,
    /// The batch whose lease it has.
    batch: Mutex<Option<BatchId>>,
    position: AtomicU32,
    /// The number of the attempt; 0 between two of them.
    attempt: AtomicU32,
    /// In milliseconds, as [`Timestamp`].
    started_at: AtomicU64,
}

impl WorkerStatus {
    pub(crate) fn new(worker: Box<str>) -> Self {
        Self {
            worker,
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

    /// What a viewer of a batch is told of this worker.
    pub(crate) fn snapshot(&self, batch: BatchId) -> WorkerLoad {
        let running = self.running().filter(|(of, _)| *of == batch);
        WorkerLoad { name: self.worker.clone(), running: running.map(|(_, running)| running) }
    }

    /// What other nodes are told of this worker, if it runs something.
    pub(crate) fn running_task(&self, worker: u32) -> Option<RunningTask> {
        let (batch, Running { position, attempt, started_at }) = self.running()?;
        Some(RunningTask { worker, batch, position: position.0, attempt, started_at: started_at.0 })
    }

    fn running(&self) -> Option<(BatchId, Running)> {
        let attempt = self.attempt.load(Ordering::Relaxed) as u8;
        if attempt == 0 {
            return None;
        }
        let batch = (*self.batch.lock().unwrap_or_else(PoisonError::into_inner))?;
        let running = Running {
            position: Position(self.position.load(Ordering::Relaxed)),
            attempt,
            started_at: Timestamp(self.started_at.load(Ordering::Relaxed)),
        };
        Some((batch, running))
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

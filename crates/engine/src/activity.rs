//! What each worker is doing at this moment.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use quilt::wire::{Running, WorkerLoad};
use quilt::{BatchId, Position, Timestamp};

use crate::colleagues::Busy;

/// One worker's desk: what lies on it is seen by everybody. Written for every task, and so without a lock.
pub(crate) struct Desk {
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

impl Desk {
    pub(crate) fn new(worker: Box<str>) -> Self {
        Self {
            worker,
            batch: Mutex::default(),
            position: AtomicU32::new(0),
            attempt: AtomicU32::new(0),
            started_at: AtomicU64::new(0),
        }
    }

    /// A lease of this batch is on the desk until the guard is dropped.
    pub(crate) fn occupy(&self, batch: BatchId) -> Occupied<'_> {
        self.set(Some(batch));
        Occupied(self)
    }

    /// An attempt starts. Who looks at the same time may see half of it, which is a glance and no record.
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
    pub(crate) fn look(&self, batch: BatchId) -> WorkerLoad {
        let running = self.running().filter(|(of, _)| *of == batch);
        WorkerLoad { name: self.worker.clone(), running: running.map(|(_, running)| running) }
    }

    /// What other nodes are told of this worker, if it runs something.
    pub(crate) fn busy(&self, worker: u32) -> Option<Busy> {
        let (batch, Running { position, attempt, started_at }) = self.running()?;
        Some(Busy { worker, batch, position: position.0, attempt, started_at: started_at.0 })
    }

    /// The batch whose lease it has.
    pub(crate) fn batch(&self) -> Option<BatchId> {
        *self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Option<(BatchId, Running)> {
        let attempt = self.attempt.load(Ordering::Relaxed) as u8;
        if attempt == 0 {
            return None;
        }
        let batch = self.batch()?;
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

/// Clears the desk when it is dropped.
pub(crate) struct Occupied<'a>(&'a Desk);

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

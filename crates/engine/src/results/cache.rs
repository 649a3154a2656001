//! Keeps what requests for results need in memory, so that a client that reads page after page has it computed once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quilt::BatchId;
use quilt::wire::spec_bytes;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use super::index::{AttemptIndex, BYTES_PER_SQUARE};
use super::items::Items;
use crate::journal::{JournalError, Offset};
use crate::live::LiveBatch;

/// How long an entry stays in memory after its last use.
const TTL: Duration = Duration::from_secs(60);

/// The memory that all entries may take, in bytes; the one in use may exceed it.
const MAX_BYTES: usize = 96 << 20;

/// The memory of a batch for each square: see `docs/limits.md`.
const BATCH_BYTES_PER_SQUARE: usize = 16;

/// How many entries are computed at the same time. Each reads a whole journal or a whole input.
const MAX_CONCURRENT_BUILDS: usize = 2;

/// The index as of an offset of the journal. Attempts may follow the end of a lap, so the state of the batch does not tell indexes apart.
type IndexAt = (Offset, Arc<OnceCell<Arc<AttemptIndex>>>);

/// The memory of a batch without its squares and its specification, in bytes.
const ENTRY_BYTES: usize = 4 << 10;

/// What is kept of a batch. The batch itself stays in memory as well.
pub(crate) struct CachedResults {
    batch: Arc<LiveBatch>,
    items: OnceCell<Arc<Items>>,
    index: Mutex<Option<IndexAt>>,
    /// The size of its specification, in bytes.
    spec_bytes: usize,
}

impl CachedResults {
    fn new(batch: Arc<LiveBatch>) -> Self {
        let spec_bytes = spec_bytes(batch.spec());
        Self { batch, items: OnceCell::new(), index: Mutex::new(None), spec_bytes }
    }

    fn bytes(&self) -> usize {
        let squares = self.batch.spec().grid.squares() as usize;
        let items = self.items.get().map_or(0, |items| items.bytes());
        ENTRY_BYTES + self.spec_bytes + squares * (BATCH_BYTES_PER_SQUARE + BYTES_PER_SQUARE) + items
    }

    /// The place of the index as of an offset.
    fn index_at(&self, offset: Offset) -> Arc<OnceCell<Arc<AttemptIndex>>> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, cell) = match index.take() {
            Some((known, cell)) if known == offset => index.insert((known, cell)),
            _ => index.insert((offset, Arc::default())),
        };
        Arc::clone(cell)
    }
}

/// The cached results of a node.
pub(crate) struct ResultCache {
    entries: Mutex<HashMap<BatchId, (Arc<CachedResults>, Instant)>>,
    builds: Semaphore,
}

impl Default for ResultCache {
    fn default() -> Self {
        Self { entries: Mutex::default(), builds: Semaphore::new(MAX_CONCURRENT_BUILDS) }
    }
}

impl ResultCache {
    /// Finds or adds the entry of a batch, and drops others if there is too little memory for all of them.
    pub(crate) fn touch(&self, batch: &Arc<LiveBatch>) -> Arc<CachedResults> {
        let (entry, dropped) = {
            let mut entries = self.entries();
            let known = entries.get(&batch.id()).filter(|(entry, _)| Arc::ptr_eq(&entry.batch, batch));
            let entry = match known {
                Some((entry, _)) => Arc::clone(entry),
                None => Arc::new(CachedResults::new(Arc::clone(batch))),
            };
            let replaced = entries.insert(batch.id(), (Arc::clone(&entry), Instant::now()));
            let mut dropped: Vec<_> = replaced.into_iter().map(|(entry, _)| entry).collect();
            while entries.len() > 1 && entries.values().map(|(entry, _)| entry.bytes()).sum::<usize>() > MAX_BYTES {
                let others = entries.iter().filter(|(id, _)| **id != batch.id());
                let Some(oldest) = others.min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id) else { break };
                dropped.extend(entries.remove(&oldest).map(|(entry, _)| entry));
            }
            (entry, dropped)
        };
        // Dropping a batch takes time, so it happens without the lock.
        drop(dropped);
        entry
    }

    /// The items of a batch, loaded at most once at the same time.
    pub(crate) async fn items<F>(
        &self,
        batch: &Arc<LiveBatch>,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<Items>, JournalError>
    where
        F: Future<Output = Result<Items, JournalError>>,
    {
        let entry = self.touch(batch);
        let load = async || {
            let _permit = self.builds.acquire().await;
            load().await.map(Arc::new)
        };
        entry.items.get_or_try_init(load).await.cloned()
    }

    /// The index of a batch as of an offset of its journal, made at most once at the same time.
    pub(crate) async fn index<F>(
        &self,
        batch: &Arc<LiveBatch>,
        offset: Offset,
        read: impl FnOnce() -> F,
    ) -> Result<Arc<AttemptIndex>, JournalError>
    where
        F: Future<Output = Result<AttemptIndex, JournalError>>,
    {
        let cell = self.touch(batch).index_at(offset);
        let read = async || {
            let _permit = self.builds.acquire().await;
            read().await.map(Arc::new)
        };
        cell.get_or_try_init(read).await.cloned()
    }

    /// Drops entries that have expired, and those of batches that were removed.
    pub(crate) fn forget_unused(&self) {
        let is_old = |entry: &CachedResults, used: &Instant| used.elapsed() > TTL || entry.batch.is_removed();
        let forgotten: Vec<_> = self.entries().extract_if(|_, (entry, used)| is_old(entry, used)).collect();
        drop(forgotten);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<BatchId, (Arc<CachedResults>, Instant)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! A journal without a file: for simulations, and for what is left of an engine's cost when nothing has to be durable.

#![allow(dead_code, reason = "each program that uses it uses its share")]

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use engine::journal::{
    BatchListItem, BatchMeta, Blobs, Catalog, Cleanup, Creation, Ending, EventLog, EventPage, Journal, JournalError,
    Offset, OpenBatch, Retention, Sequence, SquareDetail,
};
use futures::stream::{self, BoxStream};
use quilt::{BatchId, Event, Launched, OwnerId, Receipt, Summary};
use tokio::sync::watch;

/// Events in memory, as they are, without bytes in between.
#[derive(Default)]
pub(crate) struct MemoryJournal {
    batches: Mutex<HashMap<BatchId, Batch>>,
}

struct Batch {
    owner: OwnerId,
    events: watch::Sender<Vec<Event>>,
    final_summary: Option<(Summary, Vec<Receipt>)>,
}

impl Batch {
    fn lap(&self) -> u32 {
        let is_lap_start = |event: &&Event| matches!(event, Event::LapStarted { .. });
        self.events.borrow().iter().filter(is_lap_start).count() as u32 + 1
    }

    fn squares(&self) -> u32 {
        match self.events.borrow().first() {
            Some(Event::Launched(launched)) => launched.spec.grid.squares(),
            _ => 0,
        }
    }
}

impl MemoryJournal {
    /// Everything that was ever written of a batch.
    pub(crate) fn events(&self, batch: BatchId) -> Vec<Event> {
        self.batches().get(&batch).map(|batch| batch.events.borrow().clone()).unwrap_or_default()
    }

    fn batches(&self) -> MutexGuard<'_, HashMap<BatchId, Batch>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventLog for MemoryJournal {
    async fn create(
        &self,
        batch: BatchId,
        owner: OwnerId,
        launched: Launched,
        _: Option<Bytes>,
    ) -> Result<Creation, JournalError> {
        let mut batches = self.batches();
        if batches.contains_key(&batch) {
            return Ok(Creation::Exists);
        }
        let events = watch::Sender::new(vec![Event::Launched(launched)]);
        batches.insert(batch, Batch { owner, events, final_summary: None });
        Ok(Creation::Created)
    }

    async fn append(&self, batch: BatchId, events: Vec<Event>, _: Vec<SquareDetail>) -> Result<Sequence, JournalError> {
        let mut batches = self.batches();
        let batch = batches.get_mut(&batch).ok_or(JournalError::Removed)?;
        if events.iter().any(|event| matches!(event, Event::LapStarted { .. })) {
            batch.final_summary = None;
        }
        batch.events.send_modify(|all| all.extend(events));
        Ok(Sequence(batch.events.borrow().len() as u64))
    }

    /// As a backend with transactions.
    async fn append_ending(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
        Ending { after, summary, receipts }: Ending,
    ) -> Result<Sequence, JournalError> {
        let count = events.len() as u64;
        let sequence = self.append(batch, events, details).await?;
        if after.0 + count == sequence.0 {
            self.finalize(batch, summary.lap, summary, receipts).await?;
        }
        Ok(sequence)
    }

    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<EventPage, JournalError>> {
        let Some(mut receiver) = self.batches().get(&batch).map(|batch| batch.events.subscribe()) else {
            return Box::pin(stream::iter([Err(JournalError::Removed)]));
        };
        receiver.mark_changed();
        Box::pin(stream::try_unfold((receiver, after.0 as usize), |(mut receiver, next)| async move {
            receiver.changed().await.map_err(|_| JournalError::Removed)?;
            let events = receiver.borrow_and_update().get(next..).unwrap_or_default().to_vec();
            let next = next + events.len();
            Ok(Some((EventPage { events, sequence: Sequence(next as u64), caught_up: true }, (receiver, next))))
        }))
    }
}

#[async_trait]
impl Blobs for MemoryJournal {
    /// Nothing that runs on this has an input.
    async fn input(&self, _: BatchId) -> Result<Option<Bytes>, JournalError> {
        Ok(None)
    }

    /// Nothing that runs on this has an input.
    async fn input_size(&self, _: BatchId) -> Result<Option<u64>, JournalError> {
        Ok(None)
    }

    /// Nothing that runs on this has details.
    async fn details(&self, _: BatchId, _: Range<u32>) -> Result<Vec<SquareDetail>, JournalError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Catalog for MemoryJournal {
    async fn find(&self, batch: BatchId) -> Result<Option<BatchMeta>, JournalError> {
        Ok(self.batches().get(&batch).map(|batch| BatchMeta {
            owner: batch.owner,
            receipts: batch.final_summary.as_ref().map(|(_, receipts)| receipts.clone()).unwrap_or_default(),
            is_finalized: batch.final_summary.is_some(),
        }))
    }

    async fn list(&self, _: OwnerId, _: Option<u64>, _: u32) -> Result<Vec<BatchListItem>, JournalError> {
        Ok(Vec::new())
    }

    async fn unfinished(&self) -> Result<Vec<OpenBatch>, JournalError> {
        let batches = self.batches();
        let unfinished = batches.iter().filter(|(_, batch)| batch.final_summary.is_none());
        let mut unfinished: Vec<OpenBatch> = unfinished
            .map(|(id, batch)| OpenBatch { batch: *id, owner: batch.owner, lap: batch.lap(), squares: batch.squares() })
            .collect();
        // The order of a map is another one in each process.
        unfinished.sort_unstable_by_key(|unfinished| unfinished.batch);
        Ok(unfinished)
    }

    async fn finalize(
        &self,
        batch: BatchId,
        lap: u32,
        summary: Summary,
        receipts: Vec<Receipt>,
    ) -> Result<(), JournalError> {
        if let Some(batch) = self.batches().get_mut(&batch).filter(|batch| lap == batch.lap()) {
            batch.final_summary = Some((summary, receipts));
        }
        Ok(())
    }
}

#[async_trait]
impl Cleanup for MemoryJournal {
    async fn remove(&self, batch: BatchId) -> Result<bool, JournalError> {
        let mut batches = self.batches();
        let is_over = batches.get(&batch).is_some_and(|batch| batch.final_summary.is_some());
        Ok(is_over && batches.remove(&batch).is_some())
    }

    async fn expired(&self, _: Retention, _: u32, _: u32) -> Result<Vec<BatchId>, JournalError> {
        Ok(Vec::new())
    }

    async fn purge(&self) -> Result<bool, JournalError> {
        Ok(false)
    }
}

impl Journal for MemoryJournal {}

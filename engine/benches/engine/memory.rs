//! A journal without a file: what is left of an engine's cost when nothing has to be durable.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use engine::journal::{Creation, Journal, JournalError, Listed, Page};
use futures::stream::{self, BoxStream};
use quilt::{BatchId, Event, Launched, OwnerId, Summary};
use tokio::sync::watch;

/// Events in memory, as they are, without bytes in between.
#[derive(Default)]
pub(crate) struct MemoryJournal {
    batches: Mutex<HashMap<BatchId, Batch>>,
}

struct Batch {
    owner: OwnerId,
    events: watch::Sender<Vec<Event>>,
}

impl MemoryJournal {
    fn batches(&self) -> MutexGuard<'_, HashMap<BatchId, Batch>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn create(&self, batch: BatchId, owner: OwnerId, launched: Launched) -> Result<Creation, JournalError> {
        let events = watch::Sender::new(vec![Event::Launched(launched)]);
        self.batches().insert(batch, Batch { owner, events });
        Ok(Creation::Created)
    }

    async fn append(&self, batch: BatchId, event: Event) -> Result<(), JournalError> {
        if let Some(batch) = self.batches().get(&batch) {
            batch.events.send_modify(|events| events.push(event));
        }
        Ok(())
    }

    fn follow(&self, batch: BatchId) -> BoxStream<'static, Result<Page, JournalError>> {
        let Some(mut receiver) = self.batches().get(&batch).map(|batch| batch.events.subscribe()) else {
            return Box::pin(stream::empty());
        };
        receiver.mark_changed();
        Box::pin(stream::try_unfold((receiver, 0), |(mut receiver, next)| async move {
            receiver.changed().await.map_err(|_| JournalError::Closed)?;
            let events = receiver.borrow_and_update().get(next..).unwrap_or_default().to_vec();
            let next = next + events.len();
            Ok(Some((Page { events, caught_up: true }, (receiver, next))))
        }))
    }

    async fn owner(&self, batch: BatchId) -> Result<Option<OwnerId>, JournalError> {
        Ok(self.batches().get(&batch).map(|batch| batch.owner))
    }

    async fn list(&self, _: OwnerId, _: Option<u64>, _: u32) -> Result<Vec<Listed>, JournalError> {
        Ok(Vec::new())
    }

    async fn unfinished(&self) -> Result<Vec<BatchId>, JournalError> {
        Ok(Vec::new())
    }

    async fn conclude(&self, _: BatchId, _: Summary) -> Result<(), JournalError> {
        Ok(())
    }
}

//! The removal of batches: hiding them, deleting what they have, and batches that were announced and never launched.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{HeaderMap, HeaderValue};
use async_trait::async_trait;
use quilt::{BatchId, OwnerId};
use tokio::time::Instant;

use super::calls::{failed, retry, with_timeout};
use super::journal::{FORMAT, JetStreamJournal, LAUNCH_TIMEOUT};
use super::stores::REMOVED;
use super::{bodies, details, objects};
use crate::journal::{Cleanup, JournalError, OpenBatch, Retention, Sequence};

/// How long the id of a removed batch cannot be reused. Leases and workers reference it for a much shorter time.
const TOMBSTONE_TIME: Duration = Duration::from_secs(3_600);

#[async_trait]
impl Cleanup for JetStreamJournal {
    async fn remove(&self, batch: BatchId) -> Result<bool, JournalError> {
        self.guard(async {
            let Some(owner) = self.owner(batch).await? else { return Ok(false) };
            let is_deleted = match self.index.soft_delete(batch, owner).await {
                Err(JournalError::Refused(_)) => self.remove_without_space(batch, owner).await?,
                hidden => hidden?,
            };
            if is_deleted && self.owner(batch).await?.is_some() {
                // From here on the batch is hidden. If this fails, the next purge does it.
                match self.put_tombstone(batch).await {
                    Ok(_) | Err(JournalError::Refused(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(is_deleted)
        })
        .await
    }

    async fn expired(&self, retention: Retention, skip: u32, limit: u32) -> Result<Vec<BatchId>, JournalError> {
        self.guard(async {
            let mut bytes = 0;
            if retention.bytes.is_some() {
                for stream in [&self.stores.journal, &self.stores.details, &self.stores.bodies] {
                    bytes += with_timeout(stream.get_info()).await?.state.bytes;
                }
                bytes += objects::bytes(&self.stores).await?;
            }
            let expired = self.index.expired(retention, bytes).await?;
            Ok(expired.into_iter().skip(skip as usize).take(limit as usize).collect())
        })
        .await
    }

    async fn purge(&self) -> Result<bool, JournalError> {
        self.guard(async {
            for (batch, owner) in self.index.hidden().await? {
                self.purge_batch(batch, owner).await?;
            }
            self.forget_overdue().await?;
            Ok(false)
        })
        .await
    }
}

impl JetStreamJournal {
    /// Appends a tombstone to the events of a soft-deleted batch, so that its followers are notified.
    async fn put_tombstone(&self, batch: BatchId) -> Result<Option<Sequence>, JournalError> {
        let mut headers = HeaderMap::new();
        headers.insert(REMOVED, "true");
        headers.insert(async_nats::header::NATS_MESSAGE_TTL, HeaderValue::from(TOMBSTONE_TIME.as_secs()));
        self.publish(batch, &bodies::encode(batch, &[]), headers).await
    }

    /// Purges a soft-deleted batch except for its tombstone, which late appends need. The largest data is deleted first, without storing
    /// anything, to free space for the following writes.
    async fn purge_batch(&self, batch: BatchId, owner: OwnerId) -> Result<(), JournalError> {
        self.delete_bodies(batch).await?;
        match self.put_tombstone(batch).await {
            Ok(Some(sequence)) => self.purge_events(batch, Some(sequence)).await?,
            Ok(None) => {}
            Err(JournalError::Refused(_)) => self.purge_events(batch, None).await?,
            Err(error) => return Err(error),
        }
        self.index.delete_metadata(batch, owner).await
    }

    /// Deletes details and bodies.
    async fn delete_bodies(&self, batch: BatchId) -> Result<(), JournalError> {
        let first = self.first(batch).await?;
        details::delete(&self.stores, batch).await?;
        bodies::delete(&self.stores, batch).await?;
        match first.is_some_and(|first| first.headers.get(FORMAT).is_some() || first.headers.get(REMOVED).is_some()) {
            true => Ok(()),
            false => objects::delete(&self.stores, batch).await,
        }
    }

    /// Removes a batch with a final summary even if nothing can be stored. If there is still no space after its bodies are deleted, its
    /// events and metadata are deleted as well.
    async fn remove_without_space(&self, batch: BatchId, owner: OwnerId) -> Result<bool, JournalError> {
        if !self.index.is_finalized(batch, owner).await? {
            return Ok(false);
        }
        tracing::warn!(%batch, "NATS has no space left; deleting what a removed batch has before noting that it is removed");
        self.delete_bodies(batch).await?;
        match self.index.soft_delete(batch, owner).await {
            Err(JournalError::Refused(_)) => {
                // Followers find out when they check the stream.
                self.purge_events(batch, None).await?;
                self.index.delete_metadata(batch, owner).await?;
                Ok(true)
            }
            hidden => hidden,
        }
    }

    /// Deletes the events of a batch, or those before a sequence.
    pub(super) async fn purge_events(&self, batch: BatchId, before: Option<Sequence>) -> Result<(), JournalError> {
        let subject = self.subject(batch);
        retry(|| async {
            let purge = self.stores.journal.purge().filter(subject.clone());
            let purged = match before {
                Some(before) => purge.sequence(before.0).await,
                None => purge.await,
            };
            purged.map(drop).map_err(failed)
        })
        .await
    }

    /// Deletes batches that were announced but not launched in time.
    async fn forget_overdue(&self) -> Result<(), JournalError> {
        let mut overdue = HashMap::new();
        for OpenBatch { batch, owner, lap, .. } in self.index.unfinished().await? {
            if lap > 1 || self.first(batch).await?.is_some() {
                continue;
            }
            let seen = self.overdue().get(&batch).copied().unwrap_or_else(Instant::now);
            if seen.elapsed() > LAUNCH_TIMEOUT {
                tracing::info!(%batch, "was announced, and never launched");
                self.delete_bodies(batch).await?;
                self.index.delete_metadata(batch, owner).await?;
            } else {
                overdue.insert(batch, seen);
            }
        }
        *self.overdue() = overdue;
        Ok(())
    }

    fn overdue(&self) -> MutexGuard<'_, HashMap<BatchId, Instant>> {
        self.overdue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

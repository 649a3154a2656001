//! Metadata of batches in key-value buckets: lists, final summaries and receipts.
//!
//! The journal is authoritative, and the metadata is derived from it. The announcement of a batch or a lap is written before its event, and
//! a final summary after the last event. So every running lap is listed here, and announcements without an event can be found.

use std::cmp::Ordering;

use async_nats::jetstream::kv::{CreateErrorKind, Store};
use bytes::Bytes;
use quilt::{BatchId, OwnerId, Receipt, Summary, Timestamp};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::calls::{failed, retry, unavailable, with_timeout};
use super::read::{last_message, scan, scan_with_times, timestamp};
use super::stores::{DELETE_MARKER_TTL, Stores};
use crate::journal::{BatchListItem, JournalError, OpenBatch, Retention};

/// An entry in the list of an owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Orders the batches of an owner: the time of the launch, and 16 bits of the batch's id.
    cursor: u64,
    squares: u32,
    /// The last lap that has started, or is about to start.
    lap: u32,
    /// All receipts up to this lap are stored.
    noted: u32,
    #[serde(rename = "conclusion")]
    final_summary: Option<Summary>,
    /// The batch is soft-deleted: hidden, and being purged.
    is_removed: bool,
}

impl Entry {
    pub(super) fn of_launch(batch: BatchId, at: Timestamp, squares: u32) -> Self {
        let [.., one, two] = *batch.as_bytes();
        Self {
            cursor: at.0 << 16 | u64::from(u16::from_be_bytes([one, two])),
            squares,
            lap: 1,
            noted: 0,
            final_summary: None,
            is_removed: false,
        }
    }
}

/// A batch without a final summary. Its key is the id of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Open {
    owner: OwnerId,
    lap: u32,
    squares: u32,
}

/// A value and its revision.
struct Known<T> {
    value: T,
    revision: u64,
}

/// Reads and writes the buckets.
#[derive(Clone)]
pub(super) struct Index {
    stores: Stores,
}

impl Index {
    pub(super) fn new(stores: Stores) -> Self {
        Self { stores }
    }

    /// Announces a batch. If it is known already, its entry does not change.
    pub(super) async fn announce(&self, batch: BatchId, owner: OwnerId, entry: &Entry) -> Result<(), JournalError> {
        self.put_open(batch, Open { owner, lap: 1, squares: entry.squares }).await?;
        create(&self.stores.batches, &entry_key(owner, batch), entry).await
    }

    /// Announces a lap.
    pub(super) async fn announce_lap(&self, batch: BatchId, owner: OwnerId, lap: u32) -> Result<(), JournalError> {
        let changed = self
            .change(batch, owner, |entry| {
                (entry.lap < lap).then(|| Entry { lap, final_summary: None, ..entry.clone() })
            })
            .await?;
        let entry = changed.ok_or(JournalError::Removed)?;
        self.put_open(batch, Open { owner, lap: entry.lap, squares: entry.squares }).await
    }

    /// Stores the final summary of a batch, unless a lap after this one has started.
    pub(super) async fn finalize(
        &self,
        batch: BatchId,
        owner: OwnerId,
        lap: u32,
        summary: &Summary,
        receipts: &[Receipt],
    ) -> Result<(), JournalError> {
        // If a lap is started concurrently, this key gets a new revision and is not deleted below.
        let open = get::<Open>(&self.stores.unfinished, &batch.to_string()).await?;
        let known = get::<Entry>(&self.stores.batches, &entry_key(owner, batch)).await?;
        let noted = known.map_or(0, |known| known.value.noted);
        for receipt in receipts.iter().filter(|receipt| receipt.lap > noted) {
            create(&self.stores.receipts, &format!("{batch}.{}", receipt.lap), receipt).await?;
        }
        let noted = receipts.last().map_or(noted, |receipt| receipt.lap);
        let changed = self
            .change(batch, owner, |entry| {
                let concluded =
                    Entry { lap: summary.lap, noted, final_summary: Some(summary.clone()), ..entry.clone() };
                match entry.lap.cmp(&lap) {
                    Ordering::Equal => Some(concluded),
                    _ if entry.noted < noted => Some(Entry { noted, ..entry.clone() }),
                    _ => None,
                }
            })
            .await?;
        let is_noted = changed.is_none_or(|entry| entry.final_summary.is_some());
        let Some(Known { revision, .. }) = open.filter(|_| is_noted) else { return Ok(()) };
        let closed =
            self.stores.unfinished.purge_expect_revision_with_ttl(batch.to_string(), revision, DELETE_MARKER_TTL);
        if let Err(error) = with_timeout(closed).await {
            // The next node that finds the batch finalizes it again.
            tracing::debug!(%batch, %error, "a batch that is over stays among the unfinished ones");
        }
        Ok(())
    }

    /// Whether a batch is soft-deleted.
    pub(super) async fn is_deleted(&self, batch: BatchId, owner: OwnerId) -> Result<bool, JournalError> {
        let known = get::<Entry>(&self.stores.batches, &entry_key(owner, batch)).await?;
        Ok(known.is_some_and(|known| known.value.is_removed))
    }

    /// The stored receipts, and whether there is a final summary. `None` if the batch is soft-deleted. Data that is not here is still in
    /// the journal.
    pub(super) async fn look_up(
        &self,
        batch: BatchId,
        owner: OwnerId,
    ) -> Result<Option<(Vec<Receipt>, bool)>, JournalError> {
        let known = get::<Entry>(&self.stores.batches, &entry_key(owner, batch)).await?;
        let Some(Known { value: entry, .. }) = known else { return Ok(Some((Vec::new(), false))) };
        if entry.is_removed {
            return Ok(None);
        }
        let mut receipts: Vec<Receipt> = Vec::new();
        if entry.noted > 0 {
            receipts.extend(self.scan(&self.stores.receipts, &format!("{batch}.*")).await?.into_iter().map(value));
            receipts.sort_by_key(|receipt| receipt.lap);
        }
        Ok(Some((receipts, entry.final_summary.is_some())))
    }

    pub(super) async fn list(
        &self,
        owner: OwnerId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<BatchListItem>, JournalError> {
        let scanned = self.scan::<Entry>(&self.stores.batches, &format!("{owner}.*")).await?;
        let mut listed: Vec<BatchListItem> = scanned
            .into_iter()
            .filter(|(_, entry)| !entry.is_removed && after.is_none_or(|after| entry.cursor < after))
            .filter_map(|(key, entry)| {
                let (_, batch) = parse_entry_key(&key)?;
                Some(BatchListItem { batch, cursor: entry.cursor, final_summary: entry.final_summary })
            })
            .collect();
        listed.sort_by_key(|listed| std::cmp::Reverse(listed.cursor));
        listed.truncate(limit as usize);
        Ok(listed)
    }

    pub(super) async fn unfinished(&self) -> Result<Vec<OpenBatch>, JournalError> {
        let scanned = self.scan::<Open>(&self.stores.unfinished, "*").await?;
        let unfinished = scanned.into_iter().filter_map(|(key, Open { owner, lap, squares })| {
            Some(OpenBatch { batch: key.parse().ok()?, owner, lap, squares })
        });
        Ok(unfinished.collect())
    }

    /// Hides a batch that has a final summary. Returns `false` if it has none, or does not exist.
    pub(super) async fn soft_delete(&self, batch: BatchId, owner: OwnerId) -> Result<bool, JournalError> {
        let changed = self
            .change(batch, owner, |entry| {
                entry.final_summary.is_some().then(|| Entry { is_removed: true, ..entry.clone() })
            })
            .await?;
        Ok(changed.is_some_and(|entry| entry.is_removed))
    }

    /// The soft-deleted batches whose metadata has not been deleted.
    pub(super) async fn hidden(&self) -> Result<Vec<(BatchId, OwnerId)>, JournalError> {
        let scanned = self.scan::<Entry>(&self.stores.batches, "*.*").await?;
        let hidden = scanned.into_iter().filter(|(_, entry)| entry.is_removed);
        Ok(hidden.filter_map(|(key, _)| parse_entry_key(&key)).map(|(owner, batch)| (batch, owner)).collect())
    }

    /// Whether a batch has a final summary.
    pub(super) async fn is_finalized(&self, batch: BatchId, owner: OwnerId) -> Result<bool, JournalError> {
        let known = get::<Entry>(&self.stores.batches, &entry_key(owner, batch)).await?;
        Ok(known.is_some_and(|known| known.value.final_summary.is_some()))
    }

    /// Deletes the metadata of a batch.
    pub(super) async fn delete_metadata(&self, batch: BatchId, owner: OwnerId) -> Result<(), JournalError> {
        for bucket in [&self.stores.receipts, &self.stores.coordinators] {
            for (key, _) in self.scan::<IgnoredAny>(bucket, &format!("{batch}.*")).await? {
                delete(bucket, &key).await?;
            }
        }
        delete(&self.stores.unfinished, &batch.to_string()).await?;
        delete(&self.stores.batches, &entry_key(owner, batch)).await
    }

    /// Batches with a final summary that exceed the retention limits, ordered by the time at which they finished. `bytes` is the size of
    /// the journal. The server's timestamp of an entry with a final summary is that of the summary, or later.
    pub(super) async fn expired(&self, retention: Retention, bytes: u64) -> Result<Vec<BatchId>, JournalError> {
        let is_too_large = retention.bytes.is_some_and(|most| bytes > most);
        let too_old = match retention.age {
            Some(age) => Some(self.now().await?.0.saturating_sub(age.as_millis() as u64)),
            None if !is_too_large => return Ok(Vec::new()),
            None => None,
        };
        let scanned = scan_with_times::<Entry>(&self.stores.context, &self.stores.batches, "*.*").await?;
        let mut expired: Vec<(Timestamp, BatchId)> = scanned
            .into_iter()
            .filter(|(_, entry, _)| entry.final_summary.is_some() && !entry.is_removed)
            .filter(|(_, _, stored_at)| is_too_large || too_old.is_some_and(|too_old| stored_at.0 < too_old))
            .filter_map(|(key, _, stored_at)| Some((stored_at, parse_entry_key(&key)?.1)))
            .collect();
        expired.sort_unstable();
        Ok(expired.into_iter().map(|(_, batch)| batch).collect())
    }

    /// The time of the server's clock, which also stamps the entries. A node's own clock may be wrong. The call stores nothing, because
    /// there may be no free space.
    async fn now(&self) -> Result<Timestamp, JournalError> {
        let subject = format!("STREAM.INFO.{}", self.stores.batches.stream_name);
        let info: serde_json::Value = retry(|| async {
            self.stores.context.request(subject.clone(), &serde_json::json!({})).await.map_err(failed)
        })
        .await?;
        let time = info.get("ts").and_then(serde_json::Value::as_str);
        let time = time.and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
        time.map(timestamp).ok_or_else(|| unavailable("the server does not tell its time"))
    }

    /// Changes an entry unless `change` returns `None`. On a concurrent change it is called again with the new entry. Returns the resulting
    /// entry, or `None` if there is none.
    async fn change(
        &self,
        batch: BatchId,
        owner: OwnerId,
        change: impl Fn(&Entry) -> Option<Entry>,
    ) -> Result<Option<Entry>, JournalError> {
        let key = entry_key(owner, batch);
        retry(|| async {
            let Some(known) = get::<Entry>(&self.stores.batches, &key).await? else { return Ok(None) };
            if known.value.is_removed {
                return Ok(None);
            }
            let Some(changed) = change(&known.value) else { return Ok(Some(known.value)) };
            let updated = self.stores.batches.update(&key, json(&changed)?, known.revision).await;
            updated.map(|_| Some(changed)).map_err(failed)
        })
        .await
    }

    async fn scan<T: DeserializeOwned>(&self, bucket: &Store, keys: &str) -> Result<Vec<(String, T)>, JournalError> {
        scan(&self.stores.context, bucket, keys).await
    }

    async fn put_open(&self, batch: BatchId, open: Open) -> Result<(), JournalError> {
        let value = json(&open)?;
        retry(|| async {
            let put = self.stores.unfinished.put(batch.to_string(), value.clone()).await;
            put.map(drop).map_err(failed)
        })
        .await
    }
}

fn entry_key(owner: OwnerId, batch: BatchId) -> String {
    format!("{owner}.{batch}")
}

fn parse_entry_key(key: &str) -> Option<(OwnerId, BatchId)> {
    let (owner, batch) = key.split_once('.')?;
    Some((owner.parse().ok()?, batch.parse().ok()?))
}

fn value<T>((_, value): (String, T)) -> T {
    value
}

fn json(value: &impl Serialize) -> Result<Bytes, JournalError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(unavailable)
}

async fn get<T: DeserializeOwned>(bucket: &Store, key: &str) -> Result<Option<Known<T>>, JournalError> {
    let subject = format!("{}{key}", bucket.prefix);
    let message = last_message(&bucket.stream, &subject).await?;
    // A message without a value marks a deleted key.
    let Some(message) = message.filter(|message| !message.payload.is_empty()) else { return Ok(None) };
    let value = serde_json::from_slice(&message.payload)
        .map_err(|error| JournalError::Corrupt(format!("the key {key} of {}: {error}", bucket.name)))?;
    Ok(Some(Known { value, revision: message.sequence }))
}

/// Writes a value unless the key exists.
async fn create(bucket: &Store, key: &str, value: &impl Serialize) -> Result<(), JournalError> {
    let value = json(value)?;
    retry(|| async {
        match bucket.create(key, value.clone()).await {
            Err(error) if error.kind() != CreateErrorKind::AlreadyExists => Err(failed(error)),
            _ => Ok(()),
        }
    })
    .await
}

/// Deletes a key. It leaves a marker if there is space for it.
async fn delete(bucket: &Store, key: &str) -> Result<(), JournalError> {
    match retry(|| async { bucket.purge_with_ttl(key, DELETE_MARKER_TTL).await.map_err(failed) }).await {
        Err(JournalError::Refused(_)) => {
            let subject = format!("{}{key}", bucket.prefix);
            retry(|| async { bucket.stream.purge().filter(subject.clone()).await.map(drop).map_err(failed) }).await
        }
        deleted => deleted,
    }
}

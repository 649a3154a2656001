//! The journal in a stream: one subject for each batch, one message for each append.
//!
//! Every reader of a subject gets the same messages in the same order, and so every node folds the same quilt. An append that was stored though
//! its answer was lost is made again, and told from a new one by the id of its message.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::RawMessageErrorKind;
use async_nats::{HeaderMap, HeaderValue};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use quilt::{BatchId, Event, Launched, OwnerId, Receipt, Summary};
use tokio::time::Instant;

use super::bodies::{self, Body};
use super::index::{Entry, Index};
use super::stores::{REMOVED, Stores, journal_subject};
use super::trouble::{in_time, keep_trying, unavailable};
use super::{details, follow};
use crate::checksum::of_input;
use crate::journal::{
    Creation, Damage, Found, Journal, JournalError, Listed, Mark, Offset, Page, Retention, SquareDetail, Stored,
    Unfinished,
};

/// Names a batch's owner, in its first message.
const OWNER: &str = "Quilt-Owner";

/// Names the object with a batch's input, in its first message.
const INPUT: &str = "Quilt-Input";

/// Has the checksum of a batch's input, in its first message.
const INPUT_CHECKSUM: &str = "Quilt-Input-Crc32c";

/// How long a batch that was announced may take to be launched.
const ANNOUNCED: Duration = Duration::from_secs(60);

/// How long the id of a removed batch is nobody else's. No lease and no worker holds one for nearly as long.
const TOMBSTONE_TIME: Duration = Duration::from_secs(3_600);

/// A [`Journal`] on NATS JetStream. Cloning gives another handle to it.
#[derive(Clone)]
pub struct JetStreamJournal {
    stores: Stores,
    index: Index,
    /// When batches were first seen that were announced and not launched. No two clocks are compared.
    overdue: Arc<Mutex<HashMap<BatchId, Instant>>>,
}

impl JetStreamJournal {
    pub(super) fn new(stores: Stores) -> Self {
        Self { index: Index::new(stores.clone()), stores, overdue: Arc::default() }
    }

    /// Stores a message, and says where it is; `None` where it was to be the first one, and is not.
    async fn publish(&self, batch: BatchId, body: &Body, mut headers: HeaderMap) -> Result<Option<Mark>, JournalError> {
        let payload = bodies::stow(&self.stores, batch, body, &mut headers).await?;
        bodies::put_checksum(&mut headers, bodies::CHECKSUM, bodies::of_events(batch, &body.bytes));
        let subject = journal_subject(&batch.to_string());
        keep_trying(|| async {
            // An event that is refused must not be stored after all when there is a connection again.
            if !self.stores.is_connected() {
                return Err(unavailable("there is no connection"));
            }
            let message = PublishMessage::build().payload(payload.clone()).headers(headers.clone());
            let message = message.message_id(&body.id);
            let stored = self.stores.context.send_publish(subject.clone(), message).await.map_err(unavailable)?;
            match stored.await {
                Ok(stored) => Ok(Some(Mark(stored.sequence))),
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
                Err(error) => Err(unavailable(error)),
            }
        })
        .await
    }

    /// The message with which a batch begins.
    async fn first(&self, batch: BatchId) -> Result<Option<StreamMessage>, JournalError> {
        let subject = journal_subject(&batch.to_string());
        keep_trying(|| async {
            match self.stores.journal.get_first_raw_message_by_subject(&subject, 1).await {
                Ok(message) => Ok(Some(message)),
                Err(error) => match error.kind() {
                    RawMessageErrorKind::NoMessageFound => Ok(None),
                    RawMessageErrorKind::JetStream(error) if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => {
                        Ok(None)
                    }
                    _ => Err(unavailable(error)),
                },
            }
        })
        .await
    }

    /// Who launched a batch; `None` where there is no such batch, or none any more.
    async fn owner(&self, batch: BatchId) -> Result<Option<OwnerId>, JournalError> {
        let first = self.first(batch).await?;
        let first = first.filter(|first| first.headers.get(REMOVED).is_none());
        Ok(first.and_then(|first| first.headers.get(OWNER)?.as_str().parse().ok()))
    }

    /// Puts a tombstone behind the events of a batch that is hidden: who follows it is told.
    async fn put_tombstone(&self, batch: BatchId) -> Result<Option<Mark>, JournalError> {
        let mut headers = HeaderMap::new();
        headers.insert(REMOVED, "true");
        headers.insert(async_nats::header::NATS_MESSAGE_TTL, HeaderValue::from(TOMBSTONE_TIME.as_secs()));
        self.publish(batch, &bodies::encode(batch, &[]), headers).await
    }

    /// Deletes what is left of a batch that is hidden, but for its tombstone, which what is on its way to it finds.
    async fn bury(&self, batch: BatchId, owner: OwnerId) -> Result<(), JournalError> {
        if let Some(mark) = self.put_tombstone(batch).await? {
            self.purge_events(batch, mark).await?;
        }
        details::delete(&self.stores, batch).await?;
        bodies::delete(&self.stores.bodies, batch).await?;
        self.index.forget(batch, owner).await
    }

    /// Deletes the events of a batch before a mark.
    async fn purge_events(&self, batch: BatchId, before: Mark) -> Result<(), JournalError> {
        let subject = journal_subject(&batch.to_string());
        keep_trying(|| async {
            let purge = self.stores.journal.purge().filter(subject.clone()).sequence(before.0);
            purge.await.map(drop).map_err(unavailable)
        })
        .await
    }

    /// Forgets batches that were announced long ago and never launched.
    async fn forget_overdue(&self) -> Result<(), JournalError> {
        let mut overdue = HashMap::new();
        for Unfinished { batch, owner, lap, .. } in self.index.unfinished().await? {
            if lap > 1 || self.first(batch).await?.is_some() {
                continue;
            }
            let seen = self.overdue().get(&batch).copied().unwrap_or_else(Instant::now);
            if seen.elapsed() > ANNOUNCED {
                tracing::info!(%batch, "was announced, and never launched");
                bodies::delete(&self.stores.bodies, batch).await?;
                self.index.forget(batch, owner).await?;
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

#[async_trait]
impl Journal for JetStreamJournal {
    async fn create(
        &self,
        batch: BatchId,
        owner: OwnerId,
        launched: Launched,
        input: Option<Bytes>,
    ) -> Result<Creation, JournalError> {
        if let Some(first) = self.first(batch).await? {
            if [OWNER, REMOVED].iter().any(|header| first.headers.get(*header).is_some()) {
                return Ok(Creation::Exists);
            }
            // What came too late to a batch that was removed, and whose tombstone is gone as well.
            self.purge_events(batch, Mark(first.sequence + 1)).await?;
        }
        let entry = Entry::of_launch(batch, launched.at, launched.spec.grid.squares());
        let announced = Instant::now();
        self.index.announce(batch, owner, &entry).await?;
        let mut headers = HeaderMap::new();
        headers.insert(OWNER, owner.to_string());
        if let Some(input) = input {
            bodies::put_checksum(&mut headers, INPUT_CHECKSUM, of_input(batch, &input));
            headers.insert(INPUT, bodies::put(&self.stores, batch, &Body::of(batch, input)).await?);
        }
        headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(0_u64));
        let body = bodies::encode(batch, &[Event::Launched(launched)]);
        if self.publish(batch, &body, headers).await?.is_none() {
            return Ok(Creation::Exists);
        }
        if announced.elapsed() > ANNOUNCED / 2 {
            // Somebody may have forgotten it meanwhile.
            self.index.announce(batch, owner, &entry).await?;
        }
        Ok(Creation::Created)
    }

    async fn append(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
    ) -> Result<Mark, JournalError> {
        let laps = events.iter().filter_map(|event| match event {
            Event::LapStarted { lap, .. } => Some(*lap),
            _ => None,
        });
        if let Some(lap) = laps.max() {
            let owner = self.owner(batch).await?.ok_or(JournalError::Removed)?;
            self.index.announce_lap(batch, owner, lap).await?;
        }
        // Whoever learns of an outcome finds its detail.
        details::put(&self.stores, batch, &details).await?;
        let body = bodies::encode(batch, &events);
        self.publish(batch, &body, HeaderMap::new()).await?.ok_or(JournalError::Removed)
    }

    async fn input(&self, batch: BatchId) -> Result<Option<Bytes>, JournalError> {
        let Some(first) = self.first(batch).await? else { return Ok(None) };
        let Some(name) = first.headers.get(INPUT) else { return Ok(None) };
        let input = keep_trying(|| bodies::get(&self.stores, name.as_str())).await?;
        if bodies::is_intact(Some(&first.headers), INPUT_CHECKSUM, of_input(batch, &input)) {
            return Ok(Some(input));
        }
        Err(JournalError::Damaged { batch, reason: Damage::Checksum(Stored::Input) })
    }

    async fn details(&self, batch: BatchId, squares: Range<u32>) -> Result<Vec<SquareDetail>, JournalError> {
        details::get(&self.stores, batch, squares).await
    }

    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<Page, JournalError>> {
        let journal = self.clone();
        let pages = async move {
            let owner = journal.owner(batch).await?.ok_or(JournalError::Removed)?;
            if journal.index.is_hidden(batch, owner).await? {
                return Err(JournalError::Removed);
            }
            let reader = follow::reader(&journal.stores, batch, DeliverPolicy::All).await?;
            Ok(follow::pages(journal.stores, batch, reader, after))
        };
        stream::once(pages).try_flatten().boxed()
    }

    async fn find(&self, batch: BatchId) -> Result<Option<Found>, JournalError> {
        let Some(owner) = self.owner(batch).await? else { return Ok(None) };
        let known = self.index.look_up(batch, owner).await?;
        Ok(known.map(|(receipts, is_concluded)| Found { owner, receipts, is_concluded }))
    }

    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<Listed>, JournalError> {
        self.index.list(owner, after, limit).await
    }

    async fn unfinished(&self) -> Result<Vec<Unfinished>, JournalError> {
        self.index.unfinished().await
    }

    async fn conclude(
        &self,
        batch: BatchId,
        lap: u32,
        summary: Summary,
        receipts: Vec<Receipt>,
    ) -> Result<(), JournalError> {
        match self.owner(batch).await? {
            Some(owner) => self.index.conclude(batch, owner, lap, &summary, &receipts).await,
            None => Ok(()),
        }
    }

    async fn remove(&self, batch: BatchId) -> Result<bool, JournalError> {
        let Some(owner) = self.owner(batch).await? else { return Ok(false) };
        let is_hidden = self.index.hide(batch, owner).await?;
        if is_hidden {
            // From here on it is not found. If this fails, it is done by the next purge, as all the rest.
            self.put_tombstone(batch).await?;
        }
        Ok(is_hidden)
    }

    async fn expired(&self, retention: Retention, skip: u32, limit: u32) -> Result<Vec<BatchId>, JournalError> {
        let bytes = match retention.bytes {
            Some(_) => {
                let events = in_time(self.stores.journal.get_info()).await?.state.bytes;
                events + in_time(self.stores.details.get_info()).await?.state.bytes
            }
            None => 0,
        };
        let expired = self.index.expired(retention, bytes).await?;
        Ok(expired.into_iter().skip(skip as usize).take(limit as usize).collect())
    }

    async fn purge(&self) -> Result<bool, JournalError> {
        for (batch, owner) in self.index.hidden().await? {
            self.bury(batch, owner).await?;
        }
        self.forget_overdue().await?;
        Ok(false)
    }
}

//! The journal in a stream: one subject per batch, one message per append.
//!
//! All readers of a subject get the same messages in the same order, so all nodes derive the same quilt. An append whose acknowledgment was
//! lost is retried, and its message id identifies it as a duplicate.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::{HeaderMap, HeaderValue};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use quilt::{BatchId, Event, Launched, OwnerId, Receipt, Summary};
use tokio::time::Instant;

use super::bodies::{self, Body};
use super::calls::{failed, retry, unavailable};
use super::feed::Feed;
use super::index::{Entry, Index};
use super::monitor::Monitor;
use super::read::{next_message, unconfirmed_first_message};
use super::stores::{REMOVED, Stores};
use super::{details, follow};
use crate::checksum::of_input;
use crate::journal::{
    BatchListItem, BatchMeta, Blobs, Catalog, Creation, Damage, EventLog, EventPage, Journal, JournalError, Offset,
    OpenBatch, Sequence, SquareDetail, Stored,
};

/// Header of a batch's first message with its owner.
const OWNER: &str = "Quilt-Owner";

/// Header of a batch's first message with the name of its input.
const INPUT: &str = "Quilt-Input";

/// Header of a batch's first message with the checksum of its input.
const INPUT_CHECKSUM: &str = "Quilt-Input-Crc32c";

/// Header of the first message with the size of the input in bytes. Messages of earlier versions have none.
const INPUT_SIZE: &str = "Quilt-Input-Size";

/// Header of a batch's first message. It says that the object store of version 0.1.0 has no bodies of the batch.
pub(super) const FORMAT: &str = "Quilt-Format";

/// Maximum time between the announcement of a batch and its launch.
pub(super) const LAUNCH_TIMEOUT: Duration = Duration::from_secs(60);

/// A [`Journal`] on NATS JetStream. Clones share the connection.
#[derive(Clone)]
pub struct JetStreamJournal {
    pub(super) stores: Stores,
    pub(super) index: Index,
    feed: Arc<Feed>,
    /// When announced batches without a launch were first seen, by the clock of this node only.
    pub(super) overdue: Arc<Mutex<HashMap<BatchId, Instant>>>,
    _monitor: Arc<Monitor>,
}

impl JetStreamJournal {
    pub(super) fn new(stores: Stores, monitor: Arc<Monitor>) -> Self {
        let feed = Arc::new(Feed::new(stores.clone()));
        Self { index: Index::new(stores.clone()), feed, stores, overdue: Arc::default(), _monitor: monitor }
    }

    /// Makes a call that fails early without a connection, or without a required permission.
    pub(super) fn guard<T>(
        &self,
        call: impl Future<Output = Result<T, JournalError>>,
    ) -> impl Future<Output = Result<T, JournalError>> {
        self.stores.link.guard(call)
    }

    pub(super) fn subject(&self, batch: BatchId) -> String {
        self.stores.names.journal(&batch.to_string())
    }

    /// Stores a message. Returns its sequence, or `None` if it was to be the first one of the batch and is not.
    pub(super) async fn publish(
        &self,
        batch: BatchId,
        body: &Body,
        mut headers: HeaderMap,
    ) -> Result<Option<Sequence>, JournalError> {
        let payload = bodies::offload(&self.stores, batch, body, &mut headers).await?;
        bodies::put_checksum(&mut headers, bodies::CHECKSUM, bodies::of_events(batch, &body.bytes));
        let subject = self.subject(batch);
        retry(|| async {
            // A rejected event must not be stored later, when the connection is back.
            if !self.stores.is_connected() {
                return Err(unavailable("there is no connection"));
            }
            let message = PublishMessage::build().payload(payload.clone()).headers(headers.clone());
            let message = message.message_id(&body.id);
            let stored = self.stores.context.send_publish(subject.clone(), message).await.map_err(failed)?;
            match stored.await {
                Ok(stored) => Ok(Some(Sequence(stored.sequence))),
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
                Err(error) => Err(failed(error)),
            }
        })
        .await
    }

    /// The first message of a batch.
    pub(super) async fn first(&self, batch: BatchId) -> Result<Option<StreamMessage>, JournalError> {
        next_message(&self.stores.journal, &self.subject(batch), 1).await
    }

    /// The owner of a batch; `None` if it does not exist, or was removed.
    pub(super) async fn owner(&self, batch: BatchId) -> Result<Option<OwnerId>, JournalError> {
        let first = self.first(batch).await?;
        let first = first.filter(|first| first.headers.get(REMOVED).is_none());
        Ok(first.and_then(|first| first.headers.get(OWNER)?.as_str().parse().ok()))
    }

    /// The headers of the first message of a batch, and the name of its input. `None` if it has no input.
    async fn input_headers(&self, batch: BatchId) -> Result<Option<(HeaderMap, String)>, JournalError> {
        let Some(first) = self.first(batch).await? else { return Ok(None) };
        let name = first.headers.get(INPUT).map(ToString::to_string);
        Ok(name.map(|name| (first.headers, name)))
    }

    async fn create_batch(
        &self,
        batch: BatchId,
        owner: OwnerId,
        launched: Launched,
        input: Option<Bytes>,
    ) -> Result<Creation, JournalError> {
        if let Some(first) = unconfirmed_first_message(&self.stores.journal, &self.subject(batch)).await? {
            if [OWNER, REMOVED].iter().any(|header| first.headers.get(*header).is_some()) {
                return Ok(Creation::Exists);
            }
            // A late append to a batch that was removed, and whose tombstone has expired.
            self.purge_events(batch, Some(Sequence(first.sequence + 1))).await?;
        }
        let entry = Entry::of_launch(batch, launched.at, launched.spec.grid.squares());
        let announced = Instant::now();
        self.index.announce(batch, owner, &entry).await?;
        let mut headers = HeaderMap::new();
        headers.insert(OWNER, owner.to_string());
        headers.insert(FORMAT, "2");
        if let Some(input) = input {
            headers.insert(INPUT_SIZE, input.len().to_string());
            bodies::put_checksum(&mut headers, INPUT_CHECKSUM, of_input(batch, &input));
            headers.insert(INPUT, bodies::put(&self.stores, batch, &Body::of(batch, input)).await?);
        }
        headers.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(0_u64));
        let body = bodies::encode(batch, &[Event::Launched(launched)]);
        if self.publish(batch, &body, headers).await?.is_none() {
            return Ok(Creation::Exists);
        }
        if announced.elapsed() > LAUNCH_TIMEOUT / 2 {
            // Another node may have deleted the announcement in the meantime.
            self.index.announce(batch, owner, &entry).await?;
        }
        Ok(Creation::Created)
    }
}

#[async_trait]
impl EventLog for JetStreamJournal {
    async fn create(
        &self,
        batch: BatchId,
        owner: OwnerId,
        launched: Launched,
        input: Option<Bytes>,
    ) -> Result<Creation, JournalError> {
        let created = self.guard(self.create_batch(batch, owner, launched, input)).await;
        self.stores.link.note_stored(&created);
        created
    }

    async fn append(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
    ) -> Result<Sequence, JournalError> {
        let appended = self.guard(async {
            let laps = events.iter().filter_map(|event| match event {
                Event::LapStarted { lap, .. } => Some(*lap),
                _ => None,
            });
            if let Some(lap) = laps.max() {
                let owner = self.owner(batch).await?.ok_or(JournalError::Removed)?;
                self.index.announce_lap(batch, owner, lap).await?;
            }
            // Details are stored before the events, so that a reader of an outcome finds its detail.
            details::put(&self.stores, batch, &details).await?;
            let body = bodies::encode(batch, &events);
            self.publish(batch, &body, HeaderMap::new()).await?.ok_or(JournalError::Removed)
        });
        let appended = appended.await;
        self.stores.link.note_stored(&appended);
        appended
    }

    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<EventPage, JournalError>> {
        let journal = self.clone();
        let pages = async move {
            let is_deleted = async {
                let owner = journal.owner(batch).await?.ok_or(JournalError::Removed)?;
                journal.index.is_deleted(batch, owner).await
            };
            match journal.guard(is_deleted).await? {
                true => Err(JournalError::Removed),
                false => Ok(follow::pages(journal.stores, journal.feed, batch, after)),
            }
        };
        stream::once(pages).try_flatten().boxed()
    }
}

#[async_trait]
impl Blobs for JetStreamJournal {
    async fn input(&self, batch: BatchId) -> Result<Option<Bytes>, JournalError> {
        self.guard(async {
            let Some((headers, name)) = self.input_headers(batch).await? else { return Ok(None) };
            let input = bodies::get(&self.stores, batch, &name).await?;
            if bodies::is_intact(Some(&headers), INPUT_CHECKSUM, of_input(batch, &input)) {
                return Ok(Some(input));
            }
            Err(JournalError::Damaged { batch, reason: Damage::Checksum(Stored::Input) })
        })
        .await
    }

    async fn input_size(&self, batch: BatchId) -> Result<Option<u64>, JournalError> {
        self.guard(async {
            let Some((headers, name)) = self.input_headers(batch).await? else { return Ok(None) };
            match headers.get(INPUT_SIZE).and_then(|size| size.as_str().parse().ok()) {
                Some(size) => Ok(Some(size)),
                None => bodies::size(&self.stores, batch, &name).await.map(Some),
            }
        })
        .await
    }

    async fn details(&self, batch: BatchId, squares: Range<u32>) -> Result<Vec<SquareDetail>, JournalError> {
        self.guard(details::get(&self.stores, batch, squares)).await
    }
}

#[async_trait]
impl Catalog for JetStreamJournal {
    async fn find(&self, batch: BatchId) -> Result<Option<BatchMeta>, JournalError> {
        self.guard(async {
            let Some(owner) = self.owner(batch).await? else { return Ok(None) };
            let known = self.index.look_up(batch, owner).await?;
            Ok(known.map(|(receipts, is_finalized)| BatchMeta { owner, receipts, is_finalized }))
        })
        .await
    }

    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<BatchListItem>, JournalError> {
        self.guard(self.index.list(owner, after, limit)).await
    }

    async fn unfinished(&self) -> Result<Vec<OpenBatch>, JournalError> {
        self.guard(self.index.unfinished()).await
    }

    async fn finalize(
        &self,
        batch: BatchId,
        lap: u32,
        summary: Summary,
        receipts: Vec<Receipt>,
    ) -> Result<(), JournalError> {
        self.guard(async {
            match self.owner(batch).await? {
                Some(owner) => self.index.finalize(batch, owner, lap, &summary, &receipts).await,
                None => Ok(()),
            }
        })
        .await
    }
}

#[async_trait]
impl Journal for JetStreamJournal {
    async fn health(&self) -> Result<(), JournalError> {
        self.stores.link.check()
    }
}

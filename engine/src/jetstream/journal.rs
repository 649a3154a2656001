//! The journal in a stream: one subject for each batch, one message for each append.
//!
//! Every reader of a subject gets the same messages in the same order, and so every node folds the same quilt. An append that was stored though
//! its answer was lost is made again, and told from a new one by the id of its message.

use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::RawMessageErrorKind;
use async_nats::jetstream::{ErrorCode, Message};
use async_nats::{HeaderMap, HeaderValue};
use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use quilt::{BatchId, Event, Launched, OwnerId, Receipt, Summary, Timestamp};

use super::bodies::{self, Body};
use super::index::{Entry, Index};
use super::read::Reader;
use super::stores::{JOURNAL, Stores, journal_subject};
use super::trouble::{keep_trying, unavailable};
use crate::journal::{Creation, Found, Journal, JournalError, Listed, Mark, Offset, Page, Retention, Unfinished};

/// Names a batch's owner, in its first message.
const OWNER: &str = "Quilt-Owner";

/// Marks the message that stands in the place of a batch that was removed.
const REMOVED: &str = "Quilt-Removed";

/// How long the id of a removed batch is nobody else's. No lease and no worker holds one for nearly as long.
const TOMBSTONE_TIME: Duration = Duration::from_secs(3_600);

/// A [`Journal`] on NATS JetStream. Cloning gives another handle to it.
#[derive(Clone)]
pub struct JetStreamJournal {
    stores: Stores,
    index: Index,
}

/// What a message may only be stored behind.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Behind {
    Nothing,
    Anything,
}

impl JetStreamJournal {
    pub(super) fn new(stores: Stores) -> Self {
        Self { index: Index::new(stores.clone()), stores }
    }

    /// Stores a message, and says where it is; `None` where it is not what it would have to be behind.
    async fn publish(
        &self,
        batch: BatchId,
        body: &Body,
        mut headers: HeaderMap,
        behind: Behind,
    ) -> Result<Option<Mark>, JournalError> {
        let payload = bodies::stow(&self.stores, batch, body, &mut headers).await?;
        let subject = journal_subject(&batch.to_string());
        keep_trying(|| async {
            let mut message = PublishMessage::build().payload(payload.clone()).headers(headers.clone());
            if behind == Behind::Nothing {
                message = message.expected_last_subject_sequence(0);
            }
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

    /// Deletes the events of a batch that is hidden, and then what else is known of it. What is on its way to it finds the tombstone.
    async fn bury(&self, batch: BatchId, owner: OwnerId) -> Result<(), JournalError> {
        let mut headers = HeaderMap::new();
        headers.insert(REMOVED, "true");
        headers.insert(async_nats::header::NATS_MESSAGE_TTL, HeaderValue::from(TOMBSTONE_TIME.as_secs()));
        let tombstone = bodies::encode(batch, &[]);
        if let Some(mark) = self.publish(batch, &tombstone, headers, Behind::Anything).await? {
            let subject = journal_subject(&batch.to_string());
            keep_trying(|| async {
                let purge = self.stores.journal.purge().filter(subject.clone()).sequence(mark.0);
                purge.await.map(drop).map_err(unavailable)
            })
            .await?;
        }
        bodies::delete(&self.stores.bodies, batch).await?;
        self.index.forget(batch, owner).await
    }

    async fn read(&self, batch: BatchId, after: Offset) -> Result<Reading, JournalError> {
        let subject = journal_subject(&batch.to_string());
        let context = &self.stores.context;
        let reader = keep_trying(|| Reader::new(context, JOURNAL, subject.clone(), DeliverPolicy::All)).await?;
        Ok(Reading { stores: self.stores.clone(), batch, reader, skip: after.0 })
    }
}

/// Where a follower is.
struct Reading {
    stores: Stores,
    batch: BatchId,
    reader: Reader,
    /// How many events are passed over before the first one that is asked for: only whoever counts from the start knows which it is.
    skip: u64,
}

impl Reading {
    async fn next_page(&mut self) -> Result<Page, JournalError> {
        let chunk = self.reader.messages.next().await.ok_or(JournalError::Closed)?;
        let mut page = Page { events: Vec::new(), mark: Mark::default(), caught_up: false };
        for message in chunk {
            let message: Message = message.map_err(unavailable)?;
            let headers = message.headers.as_ref();
            if headers.is_some_and(|headers| headers.get(REMOVED).is_some()) {
                return Err(JournalError::Removed);
            }
            let info = message.info().map_err(unavailable)?;
            page.mark = Mark(info.stream_sequence);
            page.caught_up = info.pending == 0;
            let body = bodies::fetch(&self.stores, headers, message.payload.clone()).await?;
            let events = bodies::decode(self.batch, &body)?;
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(events.len());
            self.skip -= skipped as u64;
            page.events.extend(events.into_iter().skip(skipped));
        }
        Ok(page)
    }
}

#[async_trait]
impl Journal for JetStreamJournal {
    async fn create(&self, batch: BatchId, owner: OwnerId, launched: Launched) -> Result<Creation, JournalError> {
        if self.first(batch).await?.is_some() {
            return Ok(Creation::Exists);
        }
        let entry = Entry::of_launch(batch, launched.at, launched.spec.grid.squares());
        self.index.announce(batch, owner, &entry).await?;
        let mut headers = HeaderMap::new();
        headers.insert(OWNER, owner.to_string());
        let body = bodies::encode(batch, &[Event::Launched(launched)]);
        let stored = self.publish(batch, &body, headers, Behind::Nothing).await?;
        Ok(if stored.is_some() { Creation::Created } else { Creation::Exists })
    }

    async fn append(&self, batch: BatchId, events: Vec<Event>) -> Result<Mark, JournalError> {
        let laps = events.iter().filter_map(|event| match event {
            Event::LapStarted { lap, .. } => Some(*lap),
            _ => None,
        });
        if let Some(lap) = laps.max() {
            let owner = self.owner(batch).await?.ok_or(JournalError::Removed)?;
            self.index.announce_lap(batch, owner, lap).await?;
        }
        let body = bodies::encode(batch, &events);
        let stored = self.publish(batch, &body, HeaderMap::new(), Behind::Anything).await?;
        stored.ok_or(JournalError::Removed)
    }

    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<Page, JournalError>> {
        let journal = self.clone();
        let pages = async move {
            if journal.owner(batch).await?.is_none() {
                return Err(JournalError::Removed);
            }
            let reading = journal.read(batch, after).await?;
            Ok(stream::try_unfold(reading, |mut reading| async move {
                let page = reading.next_page().await?;
                Ok(Some((page, reading)))
            }))
        };
        stream::once(pages).try_flatten().boxed()
    }

    async fn find(&self, batch: BatchId) -> Result<Option<Found>, JournalError> {
        let Some(owner) = self.owner(batch).await? else { return Ok(None) };
        let entry = self.index.entry(batch, owner).await?;
        Ok(entry.map(|(entry, receipts)| Found { owner, receipts, is_concluded: entry.is_concluded() }))
    }

    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<Listed>, JournalError> {
        self.index.list(owner, after, limit).await
    }

    async fn unfinished(&self) -> Result<Vec<Unfinished>, JournalError> {
        self.index.unfinished().await
    }

    async fn conclude(&self, batch: BatchId, summary: Summary, receipts: Vec<Receipt>) -> Result<(), JournalError> {
        match self.owner(batch).await? {
            Some(owner) => self.index.conclude(batch, owner, &summary, &receipts).await,
            None => Ok(()),
        }
    }

    async fn remove(&self, batch: BatchId) -> Result<bool, JournalError> {
        let Some(owner) = self.owner(batch).await? else { return Ok(false) };
        let is_hidden = self.index.hide(batch, owner).await?;
        if is_hidden {
            // From here on it is not found. If the rest fails, it is done by the next purge.
            self.bury(batch, owner).await?;
        }
        Ok(is_hidden)
    }

    async fn expired(
        &self,
        retention: Retention,
        now: Timestamp,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<BatchId>, JournalError> {
        let bytes = match retention.bytes {
            Some(_) => self.stores.journal.get_info().await.map_err(unavailable)?.state.bytes,
            None => 0,
        };
        let expired = self.index.expired(retention, bytes, now).await?;
        Ok(expired.into_iter().skip(skip as usize).take(limit as usize).collect())
    }

    async fn purge(&self) -> Result<bool, JournalError> {
        for (batch, owner) in self.index.hidden().await? {
            self.bury(batch, owner).await?;
        }
        for (batch, owner) in self.index.overdue().await? {
            if self.first(batch).await?.is_none() {
                tracing::info!(%batch, "was announced, and never launched");
                self.index.forget(batch, owner).await?;
            }
        }
        Ok(false)
    }
}

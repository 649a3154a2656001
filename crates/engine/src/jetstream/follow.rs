//! Follows the events of a batch: existing ones from the stream, and new ones from the feed.
//!
//! A follower first subscribes to the feed, and then reads the stream to its end. So each message is in at least one of them, and sequence
//! numbers identify duplicates.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use futures::stream::{self, Stream};
use quilt::{BatchId, Event};
use tokio::time::{Instant, sleep, timeout};

use super::batch_get::next_of_subject;
use super::bodies;
use super::calls::{RETRY_BUDGET, RETRY_PAUSE, retry, unavailable};
use super::feed::{Feed, Subscription};
use super::read::{last_message, next_message};
use super::stores::{REMOVED, Stores};
use crate::journal::{Damage, EventPage, JournalError, Offset, Sequence, Stored};

/// How often a follower that receives no messages checks the stream.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Number of messages that are read one by one, from the leader, before batch requests are used. Most batches have few messages.
const READ_SINGLY: usize = 8;

/// The events of a batch after an offset.
pub(super) fn pages(
    stores: Stores,
    feed: Arc<Feed>,
    batch: BatchId,
    after: Offset,
) -> impl Stream<Item = Result<EventPage, JournalError>> {
    let subject = stores.names.journal(&batch.to_string());
    let follower = Follower {
        stores,
        feed,
        batch,
        subject,
        skip: after.0,
        sequence: Sequence::default(),
        caught_up: false,
        epoch: None,
        source: Source::None,
    };
    stream::try_unfold(follower, |mut follower| async move {
        let page = follower.next_page().await?;
        Ok(Some((page, follower)))
    })
}

/// The state of a follower.
struct Follower {
    stores: Stores,
    feed: Arc<Feed>,
    batch: BatchId,
    subject: String,
    /// The number of events to skip before the first requested one. Offsets can only be determined by counting from the start.
    skip: u64,
    sequence: Sequence,
    /// Whether the follower has reached the end of the stream once.
    caught_up: bool,
    epoch: Option<u64>,
    source: Source,
}

/// The source of the next messages.
enum Source {
    None,
    /// The stream, up to its end; and whether many messages are left.
    Stream(Subscription, bool),
    Feed(Subscription),
}

impl Follower {
    async fn next_page(&mut self) -> Result<EventPage, JournalError> {
        loop {
            let (caught_up, link) = (self.caught_up, self.stores.link.clone());
            let source = std::mem::replace(&mut self.source, Source::None);
            let next = match caught_up {
                true => self.next(source).await,
                false => link.guard(self.next(source)).await,
            };
            match next {
                Ok(None) => {}
                Ok(Some(messages)) => return self.page(messages).await,
                // A follower that has reached the end retries indefinitely. One that is still reading existing events returns the error.
                Err(JournalError::Unavailable(reason)) if self.caught_up => {
                    tracing::debug!(batch = %self.batch, reason, "cannot follow a batch; trying again");
                    sleep(RETRY_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn next(&mut self, source: Source) -> Result<Option<Vec<StreamMessage>>, JournalError> {
        match source {
            Source::None => self.subscribe().await,
            Source::Stream(subscription, are_many) => self.read_stream(subscription, are_many).await,
            Source::Feed(subscription) => self.read_feed(subscription).await,
        }
    }

    async fn subscribe(&mut self) -> Result<Option<Vec<StreamMessage>>, JournalError> {
        let subscription = self.feed.subscribe(self.subject.clone()).await?;
        // Sequence numbers of another stream are meaningless in this one.
        if *self.epoch.get_or_insert(subscription.start.epoch) != subscription.start.epoch {
            return Err(JournalError::Removed);
        }
        self.source = Source::Stream(subscription, false);
        Ok(None)
    }

    /// Reads further messages of the stream. Its leader decides where the stream ends, because other servers may be behind.
    async fn read_stream(
        &mut self,
        subscription: Subscription,
        are_many: bool,
    ) -> Result<Option<Vec<StreamMessage>>, JournalError> {
        if are_many {
            let (stream, from) = (self.stores.names.stream("journal"), self.sequence.0 + 1);
            let answer = retry(|| next_of_subject(&self.stores, &stream, &self.subject, from)).await?;
            if !answer.messages.is_empty() {
                self.source = Source::Stream(subscription, !answer.is_whole);
                return Ok(Some(answer.messages));
            }
        }
        let mut messages = Vec::new();
        let mut from = self.sequence.0 + 1;
        while messages.len() < READ_SINGLY {
            let Some(message) = next_message(&self.stores.journal, &self.subject, from).await? else {
                if knows_all(&self.stores, subscription.start.sequence, from).await? {
                    self.source = Source::Feed(subscription);
                    self.caught_up = true;
                    return Ok(Some(messages));
                }
                continue;
            };
            from = message.sequence + 1;
            messages.push(message);
        }
        self.source = Source::Stream(subscription, true);
        Ok(Some(messages))
    }

    async fn read_feed(&mut self, mut subscription: Subscription) -> Result<Option<Vec<StreamMessage>>, JournalError> {
        let Ok(received) = timeout(CHECK_INTERVAL, subscription.recv()).await else {
            let last = last_message(&self.stores.journal, &self.subject).await;
            match last {
                // There is no tombstone: the store was full, or it is a new one.
                Ok(None) => return Err(JournalError::Removed),
                Ok(Some(last)) if last.sequence > self.sequence.0 => {
                    tracing::warn!(batch = %self.batch, "a message did not come; reading the stream again");
                }
                _ => self.source = Source::Feed(subscription),
            }
            return Ok(None);
        };
        // A follower that was disconnected subscribes again from its position.
        let Some(mut messages) = received else { return Ok(None) };
        messages.retain(|message| message.sequence > self.sequence.0);
        self.source = Source::Feed(subscription);
        Ok((!messages.is_empty()).then_some(messages))
    }

    async fn page(&mut self, messages: Vec<StreamMessage>) -> Result<EventPage, JournalError> {
        let mut events = Vec::new();
        for message in messages {
            if message.headers.get(REMOVED).is_some() {
                return Err(JournalError::Removed);
            }
            let decoded = read_events(&self.stores, self.batch, &message).await?;
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(decoded.len());
            self.skip -= skipped as u64;
            events.extend(decoded.into_iter().skip(skipped));
            self.sequence = Sequence(message.sequence);
        }
        Ok(EventPage { events, sequence: self.sequence, caught_up: matches!(self.source, Source::Feed(_)) })
    }
}

/// Waits until the leader, which has no message from a sequence number on, has everything that the feed has read. Returns `false` if the
/// leader must be asked again.
async fn knows_all(stores: &Stores, read: u64, from: u64) -> Result<bool, JournalError> {
    let started = Instant::now();
    let mut is_first = true;
    if read < from {
        return Ok(true);
    }
    loop {
        let info = retry(|| async { stores.journal.get_info().await.map_err(unavailable) }).await?;
        if info.state.last_sequence >= read {
            return Ok(is_first);
        }
        if started.elapsed() > RETRY_BUDGET {
            return Err(unavailable("the leader of the stream of events is behind"));
        }
        is_first = false;
        sleep(RETRY_PAUSE).await;
    }
}

/// Decodes the events of a message after verifying its checksum.
async fn read_events(stores: &Stores, batch: BatchId, message: &StreamMessage) -> Result<Vec<Event>, JournalError> {
    let headers = Some(&message.headers);
    let body = bodies::fetch(stores, batch, headers, &message.payload).await?;
    if bodies::is_intact(headers, bodies::CHECKSUM, bodies::of_events(batch, &body)) {
        return bodies::decode(batch, &body);
    }
    Err(JournalError::Damaged { batch, reason: Damage::Checksum(Stored::Message(message.sequence)) })
}

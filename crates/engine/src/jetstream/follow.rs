//! Follows the events of a batch.

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::DeliverPolicy;
use futures::stream::{self, Stream};
use quilt::{BatchId, Event};
use tokio::time::{sleep, timeout};

use super::bodies;
use super::read::{Reader, last_message};
use super::stores::{JOURNAL, REMOVED, Stores, journal_subject};
use super::trouble::{PAUSE, keep_trying, unavailable};
use crate::journal::{Damage, JournalError, Mark, Offset, Page, Stored};

/// How often a follower that hears nothing asks whether there is something.
const LOOK: Duration = Duration::from_secs(10);

/// The events of a batch behind an offset, from a reader that starts with the first one.
pub(super) fn pages(
    stores: Stores,
    batch: BatchId,
    reader: Reader,
    after: Offset,
) -> impl Stream<Item = Result<Page, JournalError>> {
    let reading = Reading { stores, batch, reader, skip: after.0, mark: Mark::default(), caught_up: false };
    stream::try_unfold(reading, |mut reading| async move {
        let page = reading.next_page().await?;
        Ok(Some((page, reading)))
    })
}

/// Reads the messages of a batch.
pub(super) async fn reader(stores: &Stores, batch: BatchId, from: DeliverPolicy) -> Result<Reader, JournalError> {
    let subject = journal_subject(&batch.to_string());
    keep_trying(|| Reader::new(&stores.context, JOURNAL, subject.clone(), from)).await
}

/// Where the last message of a batch is.
async fn last(stores: &Stores, batch: BatchId) -> Result<Mark, JournalError> {
    let last = last_message(&stores.journal, &journal_subject(&batch.to_string())).await?;
    Ok(last.map_or(Mark(0), |last| Mark(last.sequence)))
}

/// Where a follower is.
struct Reading {
    stores: Stores,
    batch: BatchId,
    reader: Reader,
    /// How many events are passed over before the first one that is asked for: only whoever counts from the start knows which it is.
    skip: u64,
    mark: Mark,
    caught_up: bool,
}

impl Reading {
    async fn next_page(&mut self) -> Result<Page, JournalError> {
        loop {
            match timeout(LOOK, self.reader.next()).await {
                Ok(Ok(messages)) => return self.page(messages).await,
                Ok(Err(error)) => tracing::debug!(batch = %self.batch, %error, "reading on with a new reader"),
                // A reader whose server is lost would notice that later.
                Err(_)
                    if self.caught_up && last(&self.stores, self.batch).await.is_ok_and(|last| last <= self.mark) =>
                {
                    continue;
                }
                Err(_) => tracing::debug!(batch = %self.batch, "a reader is silent; reading on with a new one"),
            }
            let from = match self.mark {
                Mark(0) => DeliverPolicy::All,
                Mark(last) => DeliverPolicy::ByStartSequence { start_sequence: last + 1 },
            };
            // What the old one has lost must not be passed over, so it is never asked again.
            self.reader = loop {
                match reader(&self.stores, self.batch, from).await {
                    // Who has read all there was waits for more, however long; who reads what is there is told.
                    Err(JournalError::Unavailable(_)) if self.caught_up => sleep(PAUSE).await,
                    reader => break reader?,
                }
            };
        }
    }

    async fn page(&mut self, messages: Vec<Message>) -> Result<Page, JournalError> {
        let mut events = Vec::new();
        for message in messages {
            let headers = message.headers.as_ref();
            if headers.is_some_and(|headers| headers.get(REMOVED).is_some()) {
                return Err(JournalError::Removed);
            }
            let info = message.info().map_err(unavailable)?;
            let (mark, caught_up) = (Mark(info.stream_sequence), info.pending == 0);
            let decoded = read_events(&self.stores, self.batch, &message, mark).await?;
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(decoded.len());
            self.skip -= skipped as u64;
            events.extend(decoded.into_iter().skip(skipped));
            (self.mark, self.caught_up) = (mark, caught_up);
        }
        Ok(Page { events, mark: self.mark, caught_up: self.caught_up })
    }
}

/// The events in a message, if they are as they were written.
async fn read_events(
    stores: &Stores,
    batch: BatchId,
    message: &Message,
    mark: Mark,
) -> Result<Vec<Event>, JournalError> {
    let headers = message.headers.as_ref();
    let body = keep_trying(|| bodies::fetch(stores, headers, &message.payload)).await?;
    if bodies::is_intact(headers, bodies::CHECKSUM, bodies::of_events(batch, &body)) {
        return bodies::decode(batch, &body);
    }
    Err(JournalError::Damaged { batch, reason: Damage::Checksum(Stored::Message(mark.0)) })
}

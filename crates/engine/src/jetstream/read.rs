//! Reads the messages of a subject in order, and the values of many keys at once.

use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::kv::Store;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{RawMessageError, RawMessageErrorKind, Stream};
use async_nats::jetstream::{Context, Message};
use futures::StreamExt;
use futures::stream::ReadyChunks;
use quilt::Timestamp;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout};

use super::calls::{RETRY_PAUSE, failed, retry, unavailable, with_timeout};
use crate::journal::JournalError;

/// Maximum number of messages returned at once.
const CHUNK: usize = 64;

/// How long to wait for a message that exists.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long stored data that a message references may be missing on the leader of its stream before it counts as lost.
const MISSING_TIME: Duration = Duration::from_secs(20);

/// How long after a server has answered its leader it does not vote for another one. Servers wait for four seconds at least.
const LEASE: Duration = Duration::from_secs(3);

/// Existing messages of a subject, and then new ones.
pub(super) struct Reader {
    messages: ReadyChunks<Ordered>,
    /// The number of messages that existed at the start and have not been received.
    expected: u64,
    context: Context,
    stream: String,
    consumer: String,
}

impl Reader {
    pub(super) async fn new(
        context: &Context,
        stream: &str,
        subject: String,
        deliver_policy: DeliverPolicy,
    ) -> Result<Self, JournalError> {
        let config = OrderedConfig { filter_subject: subject, deliver_policy, ..OrderedConfig::default() };
        let consumer = with_timeout(context.create_consumer_on_stream(config, stream)).await?;
        let info = consumer.cached_info();
        Ok(Self {
            expected: info.num_pending,
            context: context.clone(),
            stream: stream.into(),
            consumer: info.name.clone(),
            messages: with_timeout(consumer.messages()).await?.ready_chunks(CHUNK),
        })
    }

    /// Receives messages. Waits indefinitely for new messages, but only for [`MESSAGE_TIMEOUT`] for existing ones.
    pub(super) async fn next(&mut self) -> Result<Vec<StreamMessage>, JournalError> {
        let next = self.messages.next();
        let chunk = match self.expected {
            0 => next.await,
            _ => timeout(MESSAGE_TIMEOUT, next).await.map_err(|_| unavailable("a message does not come"))?,
        };
        let chunk: Vec<Message> = chunk
            .ok_or_else(|| unavailable("a reader has ended"))?
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(unavailable)?;
        self.expected = self.expected.saturating_sub(chunk.len() as u64);
        // Some messages may have been deleted or replaced in the meantime.
        if chunk.last().and_then(|last| last.info().ok()).is_some_and(|info| info.pending == 0) {
            self.expected = 0;
        }
        chunk.into_iter().map(stored).collect()
    }

    /// Whether all messages that existed at the start have been received.
    pub(super) fn is_done(&self) -> bool {
        self.expected == 0
    }
}

impl Drop for Reader {
    /// Deletes the consumer. The server would delete it only after half a minute, and limits the number of consumers.
    fn drop(&mut self) {
        let (context, stream, consumer) =
            (self.context.clone(), std::mem::take(&mut self.stream), std::mem::take(&mut self.consumer));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                with_timeout(context.delete_consumer_from_stream(consumer, stream)).await.map(drop)
            });
        }
    }
}

/// Converts a message to its stored form.
fn stored(message: Message) -> Result<StreamMessage, JournalError> {
    let info = message.info().map_err(unavailable)?;
    let (sequence, time) = (info.stream_sequence, info.published);
    let async_nats::Message { subject, payload, headers, .. } = message.message;
    Ok(StreamMessage { subject, sequence, headers: headers.unwrap_or_default(), payload, time })
}

/// The first message of a subject from a sequence number on, from the leader of the stream.
pub(super) async fn next_message<I>(
    stream: &Stream<I>,
    subject: &str,
    from: u64,
) -> Result<Option<StreamMessage>, JournalError> {
    confirmed(stream, || stream.get_first_raw_message_by_subject(subject, from)).await
}

/// The first message of a subject, for callers whose next write fails if there is one after all: see [`confirmed`].
pub(super) async fn unconfirmed_first_message<I>(
    stream: &Stream<I>,
    subject: &str,
) -> Result<Option<StreamMessage>, JournalError> {
    retry(|| async { found(stream.get_first_raw_message_by_subject(subject, 1).await) }).await
}

/// The last message of a subject, from the leader of the stream, because other servers may be behind.
pub(super) async fn last_message<I>(stream: &Stream<I>, subject: &str) -> Result<Option<StreamMessage>, JournalError> {
    confirmed(stream, || stream.get_last_raw_message_by_subject(subject)).await
}

/// Reads a message. If there is none, reads again once the leader is known to lead: a server that was paused, or cut off from the others,
/// takes itself for the leader until it hears of the new one, and does not have what was stored since.
async fn confirmed<I, F>(stream: &Stream<I>, read: impl Fn() -> F) -> Result<Option<StreamMessage>, JournalError>
where
    F: Future<Output = Result<StreamMessage, RawMessageError>>,
{
    retry(|| async {
        if let Some(message) = found(read().await)? {
            return Ok(Some(message));
        }
        match confirm_leader(stream).await? {
            Leader::Alone => Ok(None),
            Leader::OfMajority => found(read().await),
        }
    })
    .await
}

fn found(answer: Result<StreamMessage, RawMessageError>) -> Result<Option<StreamMessage>, JournalError> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(unavailable(error)),
    }
}

/// What the leader of a stream leads.
#[derive(Debug, PartialEq)]
enum Leader {
    /// No other server has the stream.
    Alone,
    /// It has recently heard from a majority.
    OfMajority,
}

async fn confirm_leader<I>(stream: &Stream<I>) -> Result<Leader, JournalError> {
    let info = stream.get_info().await.map_err(failed)?;
    let replicas = info.cluster.map(|cluster| cluster.replicas).unwrap_or_default();
    leads(replicas.iter().map(|replica| replica.active))
        .ok_or_else(|| unavailable("the leader of a stream does not hear from the other servers"))
}

/// What a leader leads, given how long ago it heard from each other server. `None` if there may be another leader.
fn leads(silences: impl ExactSizeIterator<Item = Duration>) -> Option<Leader> {
    let others = silences.len();
    let recent = silences.filter(|silence| *silence < LEASE).count();
    match others {
        0 => Some(Leader::Alone),
        _ => (1 + recent > others.div_ceil(2)).then_some(Leader::OfMajority),
    }
}

/// Reads data that must exist. A newly elected leader may not have it yet, so it counts as damage only after [`MISSING_TIME`].
pub(super) async fn while_missing<T, F>(missing: String, mut read: impl FnMut() -> F) -> Result<T, JournalError>
where
    F: Future<Output = Result<Option<T>, JournalError>>,
{
    let started = Instant::now();
    loop {
        match read().await? {
            Some(found) => return Ok(found),
            None if started.elapsed() > MISSING_TIME => return Err(JournalError::Corrupt(missing)),
            None => sleep(RETRY_PAUSE).await,
        }
    }
}

/// All keys that match a pattern, such as `a.*`, with their values. Unreadable values are skipped and logged.
pub(super) async fn scan<T: DeserializeOwned>(
    context: &Context,
    bucket: &Store,
    keys: &str,
) -> Result<Vec<(String, T)>, JournalError> {
    let scanned = scan_with_times(context, bucket, keys).await?;
    Ok(scanned.into_iter().map(|(key, value, _)| (key, value)).collect())
}

/// Like [`scan`], with the times at which the server stored the values.
pub(super) async fn scan_with_times<T: DeserializeOwned>(
    context: &Context,
    bucket: &Store,
    keys: &str,
) -> Result<Vec<(String, T, Timestamp)>, JournalError> {
    match scan_once(context, bucket, keys).await {
        // A second attempt covers a server that was lost during the first one. Each message has its own timeout, so a long scan does not
        // fail.
        Err(JournalError::Unavailable(_)) => scan_once(context, bucket, keys).await,
        scanned => scanned,
    }
}

/// Converts a time of the server.
pub(super) fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp(u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default())
}

async fn scan_once<T: DeserializeOwned>(
    context: &Context,
    bucket: &Store,
    keys: &str,
) -> Result<Vec<(String, T, Timestamp)>, JournalError> {
    let subject = format!("{}{keys}", bucket.prefix);
    let mut reader = Reader::new(context, &bucket.stream_name, subject, DeliverPolicy::LastPerSubject).await?;
    let mut scanned = Vec::new();
    while !reader.is_done() {
        for message in reader.next().await? {
            let key = message.subject.strip_prefix(&*bucket.prefix).unwrap_or_default();
            // A message without a value marks a deleted key.
            if !message.payload.is_empty() {
                match serde_json::from_slice(&message.payload) {
                    Ok(value) => {
                        scanned.push((key.into(), value, timestamp(message.time)));
                    }
                    Err(error) => tracing::error!(bucket = bucket.name, key, %error, "a key cannot be read"),
                }
            }
        }
    }
    Ok(scanned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_needs_a_majority_that_has_answered_recently() {
        let of = |silences: &[u64]| leads(silences.iter().map(|seconds| Duration::from_secs(*seconds)));
        assert_eq!(of(&[]), Some(Leader::Alone));
        for known in [&[0, 9][..], &[1, 2], &[0, 0, 9, 9]] {
            assert_eq!(of(known), Some(Leader::OfMajority), "{known:?}");
        }
        for unknown in [&[9][..], &[9, 9], &[0, 9, 9, 9]] {
            assert_eq!(of(unknown), None, "{unknown:?}");
        }
    }
}

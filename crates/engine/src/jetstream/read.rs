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

use super::calls::{RETRY_PAUSE, retry, unavailable, with_timeout};
use crate::journal::JournalError;

/// Maximum number of messages returned at once.
const CHUNK: usize = 64;

/// How long to wait for a message that exists.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long stored data that a message references may be missing on the leader of its stream before it counts as lost.
const MISSING_TIME: Duration = Duration::from_secs(20);

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
    retry(|| async { found(stream.get_first_raw_message_by_subject(subject, from).await) }).await
}

/// The last message of a subject, from the leader of the stream, because other servers may be behind.
pub(super) async fn last_message<I>(stream: &Stream<I>, subject: &str) -> Result<Option<StreamMessage>, JournalError> {
    retry(|| async { found(stream.get_last_raw_message_by_subject(subject).await) }).await
}

fn found(answer: Result<StreamMessage, RawMessageError>) -> Result<Option<StreamMessage>, JournalError> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(unavailable(error)),
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

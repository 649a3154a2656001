//! Reads the messages of a subject, in their order, and the values of many keys at once.

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::kv::Store;
use futures::StreamExt;
use futures::stream::ReadyChunks;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use super::trouble::unavailable;
use crate::journal::JournalError;

/// The most messages that are handed on at once.
const CHUNK: usize = 64;

/// The messages of a subject, from the first one on, and then those to come. It is made anew by itself when the connection is.
pub(super) struct Reader {
    pub(super) messages: ReadyChunks<Ordered>,
    /// Whether there were no messages when it was made.
    pub(super) is_empty: bool,
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
        let consumer = context.create_consumer_on_stream(config, stream).await.map_err(unavailable)?;
        let info = consumer.cached_info();
        Ok(Self {
            is_empty: info.num_pending == 0,
            context: context.clone(),
            stream: stream.into(),
            consumer: info.name.clone(),
            messages: consumer.messages().await.map_err(unavailable)?.ready_chunks(CHUNK),
        })
    }
}

impl Drop for Reader {
    /// The server would find out by itself, half a minute later, and has room for so many.
    fn drop(&mut self) {
        let (context, stream, consumer) =
            (self.context.clone(), std::mem::take(&mut self.stream), std::mem::take(&mut self.consumer));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { context.delete_consumer_from_stream(consumer, stream).await.map(drop) });
        }
    }
}

/// A value, and where it stands.
pub(super) struct Scanned<T> {
    pub(super) key: String,
    pub(super) value: T,
    /// When it was written, by the server's clock.
    pub(super) written: OffsetDateTime,
}

/// All values whose keys match a pattern, such as `a.*`. Those that cannot be read are left out, and told.
pub(super) async fn scan<T: DeserializeOwned>(
    context: &Context,
    bucket: &Store,
    keys: &str,
) -> Result<Vec<Scanned<T>>, JournalError> {
    let subject = format!("{}{keys}", bucket.prefix);
    let mut reader = Reader::new(context, &bucket.stream_name, subject, DeliverPolicy::LastPerSubject).await?;
    let mut scanned = Vec::new();
    let mut is_done = reader.is_empty;
    while !is_done {
        for message in reader.messages.next().await.ok_or(JournalError::Closed)? {
            let message = message.map_err(unavailable)?;
            let info = message.info().map_err(unavailable)?;
            let key = message.subject.strip_prefix(&*bucket.prefix).unwrap_or_default();
            // One without a value says that the key was deleted.
            if !message.payload.is_empty() {
                match serde_json::from_slice(&message.payload) {
                    Ok(value) => scanned.push(Scanned { key: key.into(), value, written: info.published }),
                    Err(error) => tracing::error!(bucket = bucket.name, key, %error, "a key cannot be read"),
                }
            }
            is_done = info.pending == 0;
        }
    }
    Ok(scanned)
}

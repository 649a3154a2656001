//! Reads many keys of a bucket at once.

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::kv::Store;
use futures::StreamExt;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use super::trouble::unavailable;
use crate::journal::JournalError;

/// A value, and where it stands.
pub(super) struct Scanned<T> {
    pub(super) key: String,
    pub(super) value: T,
    /// When it was written, by the server's clock.
    pub(super) written: OffsetDateTime,
}

/// All values whose keys match a pattern, such as `a.*`. Those that cannot be read are left out, and told.
pub(super) async fn scan<T: DeserializeOwned>(bucket: &Store, keys: &str) -> Result<Vec<Scanned<T>>, JournalError> {
    let config = OrderedConfig {
        filter_subject: format!("{}{keys}", bucket.prefix),
        deliver_policy: DeliverPolicy::LastPerSubject,
        ..OrderedConfig::default()
    };
    let consumer = bucket.stream.create_consumer(config).await.map_err(unavailable)?;
    let mut scanned = Vec::new();
    if consumer.cached_info().num_pending == 0 {
        return Ok(scanned);
    }
    let mut messages = consumer.messages().await.map_err(unavailable)?;
    while let Some(message) = messages.next().await {
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
        if info.pending == 0 {
            break;
        }
    }
    Ok(scanned)
}

//! Events as bytes: in a message or, where there are too many of them for one, in parts of a stream of their own.

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use quilt::wire::{FramedEvent, put_framed_event};
use quilt::{BatchId, Event};
use sha2::{Digest, Sha256};

use super::calls::{failed, retry, unavailable};
use super::objects;
use super::read::{last_message, next_message, while_missing};
use super::stores::{REMOVED, Stores};
use crate::checksum::{Checksum, Kind};
use crate::journal::JournalError;

/// Names the parts that are a message's body.
const OBJECT: &str = "Quilt-Object";

/// Has the checksum of a message's body, as eight hexadecimal digits. Messages of earlier versions have none.
pub(super) const CHECKSUM: &str = "Quilt-Crc32c";

/// The most bytes of a part. Some messages at a time cost a server less than a large one.
const MAX_PART: usize = 256 << 10;

/// How many parts are read or written at the same time.
const AT_ONCE: usize = 8;

/// Stores a checksum among the headers of a message.
pub(super) fn put_checksum(headers: &mut HeaderMap, name: &str, checksum: u32) {
    headers.insert(name, format!("{checksum:08x}"));
}

/// Whether a checksum is the one among the headers of a message, if that has one.
pub(super) fn is_intact(headers: Option<&HeaderMap>, name: &str, checksum: u32) -> bool {
    let stored = headers.and_then(|headers| headers.get(name));
    stored.is_none_or(|stored| stored.as_str() == format!("{checksum:08x}"))
}

/// The checksum of the events in a message.
pub(super) fn of_events(batch: BatchId, bytes: &[u8]) -> u32 {
    Checksum::of(Kind::Message, batch).bytes(bytes)
}

/// A body, and its name: the same events of the same batch have the same one, however often they are written.
pub(super) struct Body {
    pub(super) id: String,
    pub(super) bytes: Bytes,
}

/// The body of some events in a row.
pub(super) fn encode(batch: BatchId, events: &[Event]) -> Body {
    let mut bytes = Vec::new();
    events.iter().for_each(|event| put_framed_event(&mut bytes, event));
    Body::of(batch, bytes.into())
}

impl Body {
    /// Bytes that belong to a batch.
    pub(super) fn of(batch: BatchId, bytes: Bytes) -> Self {
        let digest = Sha256::new().chain_update(batch.as_bytes()).chain_update(&bytes).finalize();
        let id = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { id, bytes }
    }
}

/// The events of a body.
pub(super) fn decode(batch: BatchId, mut bytes: &[u8]) -> Result<Vec<Event>, JournalError> {
    let damaged = |error: quilt::wire::DecodeError| JournalError::Damaged { batch, reason: error.into() };
    let mut events = Vec::new();
    while let Some(event) = FramedEvent::take(&mut bytes).map_err(damaged)? {
        events.push(event.decode().map_err(damaged)?);
    }
    Ok(events)
}

/// What goes into the message: the body itself, or its name among the headers.
pub(super) async fn offload(
    stores: &Stores,
    batch: BatchId,
    body: &Body,
    headers: &mut HeaderMap,
) -> Result<Bytes, JournalError> {
    if body.bytes.len() <= stores.largest_body {
        return Ok(body.bytes.clone());
    }
    headers.insert(OBJECT, put(stores, batch, body).await?);
    Ok(Bytes::new())
}

/// Stores a body in parts, and returns its name: its id, and how many parts it has. Made again it changes nothing.
pub(super) async fn put(stores: &Stores, batch: BatchId, body: &Body) -> Result<String, JournalError> {
    let size = stores.largest_body.min(MAX_PART);
    let count = body.bytes.len().div_ceil(size);
    let parts = (0..count).map(|part| {
        let start = part * size;
        let end = body.bytes.len().min(start + size);
        put_part(stores, batch, &body.id, part, body.bytes.slice(start..end))
    });
    // What is borrowed by a stream of futures has to live as long as all of them.
    let parts: Vec<_> = parts.collect();
    stream::iter(parts).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(format!("{}/{count}", body.id))
}

async fn put_part(stores: &Stores, batch: BatchId, id: &str, part: usize, bytes: Bytes) -> Result<(), JournalError> {
    let subject = stores.names.body(&batch.to_string(), id, &part.to_string());
    retry(|| async {
        if !stores.is_connected() {
            return Err(unavailable("there is no connection"));
        }
        let message = PublishMessage::build().payload(bytes.clone());
        let stored = stores.context.send_publish(subject.clone(), message).await.map_err(failed)?;
        stored.await.map(drop).map_err(failed)
    })
    .await
}

/// The body of a message.
pub(super) async fn fetch(
    stores: &Stores,
    batch: BatchId,
    headers: Option<&HeaderMap>,
    payload: &Bytes,
) -> Result<Bytes, JournalError> {
    match headers.and_then(|headers| headers.get(OBJECT)) {
        Some(name) => get(stores, batch, name.as_str()).await,
        None => Ok(payload.clone()),
    }
}

/// A body by its name.
pub(super) async fn get(stores: &Stores, batch: BatchId, name: &str) -> Result<Bytes, JournalError> {
    let Some((id, count)) = name.split_once('/') else { return objects::get(stores, name).await };
    let count: usize = count.parse().map_err(|_| JournalError::Corrupt(format!("the name of a body, {name}")))?;
    let parts: Vec<_> = (0..count).map(|part| get_part(stores, batch, id, part)).collect();
    let mut bytes = Vec::new();
    let mut parts = stream::iter(parts).buffered(AT_ONCE);
    while let Some(part) = parts.try_next().await? {
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.into())
}

async fn get_part(stores: &Stores, batch: BatchId, id: &str, part: usize) -> Result<Bytes, JournalError> {
    let subject = stores.names.body(&batch.to_string(), id, &part.to_string());
    let missing = format!("part {part} of the body {id} of batch {batch} is missing");
    let read = while_missing(missing, || async {
        let part = last_message(&stores.bodies, &subject).await?;
        if part.is_none() && is_removed(stores, batch).await? {
            return Err(JournalError::Removed);
        }
        Ok(part.map(|part| part.payload))
    });
    read.await
}

/// Whether a batch was removed meanwhile, and not damaged.
async fn is_removed(stores: &Stores, batch: BatchId) -> Result<bool, JournalError> {
    let first = next_message(&stores.journal, &stores.names.journal(&batch.to_string()), 1).await?;
    Ok(first.is_none_or(|first| first.headers.get(REMOVED).is_some()))
}

/// Deletes all bodies of a batch. It stores nothing, so it succeeds where there is no space left.
pub(super) async fn delete(stores: &Stores, batch: BatchId) -> Result<(), JournalError> {
    let subject = stores.names.body(&batch.to_string(), "*", "*");
    retry(|| async { stores.bodies.purge().filter(subject.clone()).await.map(drop).map_err(failed) }).await
}

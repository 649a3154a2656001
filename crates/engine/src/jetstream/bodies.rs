//! Encodes events. If they do not fit into a message, their parts are stored in a separate stream.

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

/// Header with the name of the stored parts that are the body of a message.
const OBJECT: &str = "Quilt-Object";

/// Header with the checksum of a message's body, as eight hexadecimal digits. Messages of earlier versions have none.
pub(super) const CHECKSUM: &str = "Quilt-Crc32c";

/// Maximum size of a part in bytes. Several small messages cost a server less than a large one.
const MAX_PART: usize = 256 << 10;

/// Number of parts that are read or written concurrently.
const AT_ONCE: usize = 8;

/// Adds a checksum to the headers of a message.
pub(super) fn put_checksum(headers: &mut HeaderMap, name: &str, checksum: u32) {
    headers.insert(name, format!("{checksum:08x}"));
}

/// Whether a checksum equals the one in the headers of a message. Also `true` if the headers have none.
pub(super) fn is_intact(headers: Option<&HeaderMap>, name: &str, checksum: u32) -> bool {
    let stored = headers.and_then(|headers| headers.get(name));
    stored.is_none_or(|stored| stored.as_str() == format!("{checksum:08x}"))
}

/// The checksum of the events in a message.
pub(super) fn of_events(batch: BatchId, bytes: &[u8]) -> u32 {
    Checksum::of(Kind::Message, batch).bytes(bytes)
}

/// A body and its id. The id is a hash of the batch and the bytes, so that repeated writes have the same id.
pub(super) struct Body {
    pub(super) id: String,
    pub(super) bytes: Bytes,
}

/// Encodes consecutive events.
pub(super) fn encode(batch: BatchId, events: &[Event]) -> Body {
    let mut bytes = Vec::new();
    events.iter().for_each(|event| put_framed_event(&mut bytes, event));
    Body::of(batch, bytes.into())
}

impl Body {
    /// The body of bytes that belong to a batch.
    pub(super) fn of(batch: BatchId, bytes: Bytes) -> Self {
        let digest = Sha256::new().chain_update(batch.as_bytes()).chain_update(&bytes).finalize();
        let id = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { id, bytes }
    }
}

/// Decodes the events of a body.
pub(super) fn decode(batch: BatchId, mut bytes: &[u8]) -> Result<Vec<Event>, JournalError> {
    let damaged = |error: quilt::wire::DecodeError| JournalError::Damaged { batch, reason: error.into() };
    let mut events = Vec::new();
    while let Some(event) = FramedEvent::take(&mut bytes).map_err(damaged)? {
        events.push(event.decode().map_err(damaged)?);
    }
    Ok(events)
}

/// Returns the payload of a message: the body, or nothing if the body is too large. In that case it is stored in parts, and a header names
/// it.
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

/// Stores a body in parts. Returns its name, which consists of its id and the number of parts. Idempotent.
pub(super) async fn put(stores: &Stores, batch: BatchId, body: &Body) -> Result<String, JournalError> {
    let size = stores.largest_body.min(MAX_PART);
    let count = body.bytes.len().div_ceil(size);
    let parts = (0..count).map(|part| {
        let start = part * size;
        let end = body.bytes.len().min(start + size);
        put_part(stores, batch, &body.id, part, body.bytes.slice(start..end))
    });
    // Collected, because borrowed data must live as long as all futures of the stream.
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

/// Fetches the body of a message.
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

/// Fetches a body by its name.
pub(super) async fn get(stores: &Stores, batch: BatchId, name: &str) -> Result<Bytes, JournalError> {
    let Some((id, count)) = parse_name(name)? else { return objects::get(stores, name).await };
    let parts: Vec<_> = (0..count).map(|part| get_part(stores, batch, id, part)).collect();
    let mut bytes = Vec::new();
    let mut parts = stream::iter(parts).buffered(AT_ONCE);
    while let Some(part) = parts.try_next().await? {
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.into())
}

/// The size of a body in bytes. All of its parts but the last have the same size, so at most two of them are read.
pub(super) async fn size(stores: &Stores, batch: BatchId, name: &str) -> Result<u64, JournalError> {
    let Some((id, count)) = parse_name(name)? else { return objects::size(stores, name).await };
    let part_size = async |part| Ok::<_, JournalError>(get_part(stores, batch, id, part).await?.len() as u64);
    match count.checked_sub(1) {
        None => Ok(0),
        Some(0) => part_size(0).await,
        Some(last) => Ok(part_size(0).await? * last as u64 + part_size(last).await?),
    }
}

/// The id of a body and the number of its parts; `None` for the name of an object of version 0.1.0.
fn parse_name(name: &str) -> Result<Option<(&str, usize)>, JournalError> {
    let Some((id, count)) = name.split_once('/') else { return Ok(None) };
    let count = count.parse().map_err(|_| JournalError::Corrupt(format!("the name of a body, {name}")))?;
    Ok(Some((id, count)))
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

/// Whether a batch has been removed in the meantime. If not, it is damaged.
async fn is_removed(stores: &Stores, batch: BatchId) -> Result<bool, JournalError> {
    let first = next_message(&stores.journal, &stores.names.journal(&batch.to_string()), 1).await?;
    Ok(first.is_none_or(|first| first.headers.get(REMOVED).is_some()))
}

/// Deletes all bodies of a batch. It stores nothing, so it succeeds even without free space.
pub(super) async fn delete(stores: &Stores, batch: BatchId) -> Result<(), JournalError> {
    let subject = stores.names.body(&batch.to_string(), "*", "*");
    retry(|| async { stores.bodies.purge().filter(subject.clone()).await.map(drop).map_err(failed) }).await
}

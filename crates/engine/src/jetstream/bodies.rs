//! Events as bytes: in a message or, where there are too many of them for one, in the object store.

use async_nats::HeaderMap;
use async_nats::jetstream::object_store::{GetErrorKind, ObjectStore};
use bytes::Bytes;
use futures::TryStreamExt;
use quilt::wire::{FramedEvent, put_framed_event};
use quilt::{BatchId, Event};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::stores::Stores;
use super::trouble::{in_time, keep_trying, unavailable};
use crate::checksum::{Checksum, Kind};
use crate::journal::JournalError;

/// Names the object that has a message's body.
const OBJECT: &str = "Quilt-Object";

/// Has the checksum of a message's body, as eight hexadecimal digits. Messages of earlier versions have none.
pub(super) const CHECKSUM: &str = "Quilt-Crc32c";

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
pub(super) async fn stow(
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

/// Puts a body into the object store, and returns its name there.
pub(super) async fn put(stores: &Stores, batch: BatchId, body: &Body) -> Result<String, JournalError> {
    let name = object_name(batch, &body.id);
    keep_trying(|| async {
        // Put again, it would be taken from under those who read it.
        if stores.bodies.info(name.as_str()).await.is_ok_and(|info| !info.deleted) {
            return Ok(());
        }
        let put = stores.bodies.put(name.as_str(), &mut &*body.bytes).await;
        put.map(drop).map_err(unavailable)
    })
    .await?;
    Ok(name)
}

/// The body of a message.
pub(super) async fn fetch(
    stores: &Stores,
    headers: Option<&HeaderMap>,
    payload: &Bytes,
) -> Result<Bytes, JournalError> {
    match headers.and_then(|headers| headers.get(OBJECT)) {
        Some(name) => get(stores, name.as_str()).await,
        None => Ok(payload.clone()),
    }
}

/// A body in the object store.
pub(super) async fn get(stores: &Stores, name: &str) -> Result<Bytes, JournalError> {
    let mut object = stores.bodies.get(name).await.map_err(|error| match error.kind() {
        GetErrorKind::NotFound => JournalError::Corrupt(format!("the object {name} is missing")),
        _ => unavailable(error),
    })?;
    let mut bytes = Vec::new();
    object.read_to_end(&mut bytes).await.map_err(unavailable)?;
    Ok(bytes.into())
}

/// Deletes all bodies of a batch that stand beside its messages.
pub(super) async fn delete(objects: &ObjectStore, batch: BatchId) -> Result<(), JournalError> {
    let prefix = object_name(batch, "");
    let all = in_time(objects.list()).await?;
    let names: Vec<String> = in_time(all.map_ok(|object| object.name).try_collect()).await?;
    for name in names.iter().filter(|name| name.starts_with(&prefix)) {
        in_time(objects.delete(name)).await?;
    }
    Ok(())
}

fn object_name(batch: BatchId, id: &str) -> String {
    format!("{batch}.{id}")
}

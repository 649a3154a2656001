//! Events as bytes: in a message or, where there are too many of them for one, in the object store.

use async_nats::HeaderMap;
use async_nats::jetstream::object_store::ObjectStore;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use quilt::wire::{FramedEvent, put_framed_event};
use quilt::{BatchId, Event};
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::stores::Stores;
use super::trouble::{keep_trying, unavailable};
use crate::journal::JournalError;

/// Names the object that has a message's body.
const OBJECT: &str = "Quilt-Object";

/// A body, and its name: the same events of the same batch have the same one, however often they are written.
pub(super) struct Body {
    pub(super) id: String,
    bytes: Bytes,
}

/// The body of some events in a row.
pub(super) fn encode(batch: BatchId, events: &[Event]) -> Body {
    let mut bytes = Vec::new();
    events.iter().for_each(|event| put_framed_event(&mut bytes, event));
    let digest = Sha256::new().chain_update(batch.as_bytes()).chain_update(&bytes).finalize();
    let id = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Body { id, bytes: bytes.into() }
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
    let name = object_name(batch, &body.id);
    keep_trying(|| async {
        let put = stores.bodies.put(name.as_str(), &mut &*body.bytes).await;
        put.map(drop).map_err(unavailable)
    })
    .await?;
    headers.insert(OBJECT, name);
    Ok(Bytes::new())
}

/// The body of a message.
pub(super) async fn fetch(stores: &Stores, headers: Option<&HeaderMap>, payload: Bytes) -> Result<Bytes, JournalError> {
    let Some(name) = headers.and_then(|headers| headers.get(OBJECT)) else { return Ok(payload) };
    let mut object = stores.bodies.get(name.as_str()).await.map_err(unavailable)?;
    let mut bytes = Vec::with_capacity(object.info().size);
    object.read_to_end(&mut bytes).await.map_err(unavailable)?;
    Ok(bytes.into())
}

/// Deletes all bodies of a batch that stand beside its messages.
pub(super) async fn delete(objects: &ObjectStore, batch: BatchId) -> Result<(), JournalError> {
    let prefix = object_name(batch, "");
    let all = objects.list().await.map_err(unavailable)?;
    let names: Vec<String> = all.map_ok(|object| object.name).try_collect().await.map_err(unavailable)?;
    let mut own = futures::stream::iter(names.into_iter().filter(|name| name.starts_with(&prefix)));
    while let Some(name) = own.next().await {
        objects.delete(&name).await.map_err(unavailable)?;
    }
    Ok(())
}

fn object_name(batch: BatchId, id: &str) -> String {
    format!("{batch}.{id}")
}

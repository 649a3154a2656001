//! Bodies in the object store of version 0.1.0. They are read and deleted; new bodies are not stored here.

use async_nats::jetstream::object_store::{DeleteErrorKind, GetErrorKind, InfoErrorKind};
use bytes::Bytes;
use futures::TryStreamExt;
use quilt::BatchId;
use tokio::io::AsyncReadExt;

use super::calls::{failed, retry, unavailable, with_timeout};
use super::read::while_missing;
use super::stores::Stores;
use crate::journal::JournalError;

/// Fetches an object.
pub(super) async fn get(stores: &Stores, name: &str) -> Result<Bytes, JournalError> {
    let missing = format!("the object {name} is missing");
    let Some(objects) = &stores.objects else { return Err(JournalError::Corrupt(missing)) };
    let read = async || {
        let mut object = match objects.get(name).await {
            Ok(object) => object,
            Err(error) if error.kind() == GetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        let mut bytes = Vec::new();
        object.read_to_end(&mut bytes).await.map_err(unavailable)?;
        Ok(Some(Bytes::from(bytes)))
    };
    while_missing(missing, || retry(&read)).await
}

/// The size of an object in bytes.
pub(super) async fn size(stores: &Stores, name: &str) -> Result<u64, JournalError> {
    let missing = format!("the object {name} is missing");
    let Some(objects) = &stores.objects else { return Err(JournalError::Corrupt(missing)) };
    let read = async || match objects.info(name).await {
        Ok(object) => Ok(Some(object.size as u64)),
        Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(unavailable(error)),
    };
    while_missing(missing, || retry(&read)).await
}

/// Deletes all objects of a batch. Their chunks are purged first, which stores nothing.
pub(super) async fn delete(stores: &Stores, batch: BatchId) -> Result<(), JournalError> {
    let Some(objects) = &stores.objects else { return Ok(()) };
    let prefix = format!("{batch}.");
    let all: Vec<_> =
        with_timeout(async { with_timeout(objects.list()).await?.map_err(unavailable).try_collect().await }).await?;
    let bucket = stores.names.stream("bodies");
    let stream = with_timeout(stores.context.get_stream_no_info(format!("OBJ_{bucket}"))).await?;
    for object in all.iter().filter(|object| object.name.starts_with(&prefix)) {
        let chunks = format!("$O.{bucket}.C.{}", object.nuid);
        retry(|| async { stream.purge().filter(chunks.clone()).await.map(drop).map_err(failed) }).await?;
        match with_timeout(async { Ok::<_, JournalError>(objects.delete(&object.name).await) }).await? {
            Err(error) if error.kind() != DeleteErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    Ok(())
}

/// The size of all objects in bytes.
pub(super) async fn bytes(stores: &Stores) -> Result<u64, JournalError> {
    if stores.objects.is_none() {
        return Ok(0);
    }
    let stream = format!("OBJ_{}", stores.names.stream("bodies"));
    let stream = with_timeout(stores.context.get_stream(stream)).await?;
    Ok(stream.cached_info().state.bytes)
}

//! Registers the name of a node, which must be unique.

use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::jetstream::kv::CreateErrorKind;
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::calls::{failed, retry, update};
use super::error::ConnectError;
use super::read::last_message;
use super::stores::Stores;
use crate::dispatch::{LEASE_TTL, NodeId};
use crate::journal::JournalError;

/// How often the key of a name is renewed. It has the same TTL as the keys of nodes that coordinate laps.
const RENEW_INTERVAL: Duration = Duration::from_secs(LEASE_TTL.as_secs() / 5);

/// How long startup waits for a name whose owner may be lost.
const NAME_TIMEOUT: Duration = Duration::from_secs(LEASE_TTL.as_secs() + 5);

/// The pause before the next attempt to register a name.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long a process has to answer a liveness request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The registration of a name. It is renewed until this is dropped.
pub(super) struct NodeName {
    _renewal: AbortOnDropHandle<()>,
}

impl NodeName {
    /// Registers a name for a process. If another process owns the name, it is taken over once that process has ended.
    pub(super) async fn hold(stores: &Stores, name: &str, id: NodeId) -> Result<Self, ConnectError> {
        let key = format!("name.{name}");
        let value: Bytes = id.to_string().into();
        let started = Instant::now();
        // A process that has ended does not subscribe to its subject, nor does one that has just started. The latter subscribes shortly
        // afterwards, so the request is repeated.
        let mut silent = None;
        let revision = loop {
            let (holder, revision) = match retry(|| create(stores, &key, &value)).await? {
                Attempt::Held(revision) => break revision,
                Attempt::Taken { holder, revision } => (holder, revision),
            };
            let known = Some((holder.clone(), revision));
            if is_listening(stores, &holder).await {
                silent = None;
            } else if silent == known {
                if let Some(revision) = retry(|| renew(stores, &key, &value, revision)).await? {
                    tracing::info!(name, "took over the name of a process that has ended");
                    break revision;
                }
            } else {
                silent = known;
            }
            if started.elapsed() > NAME_TIMEOUT {
                return Err(ConnectError::NameTaken { name: name.into() });
            }
            sleep(RETRY_PAUSE).await;
        };
        let renewal = tokio::spawn(renew_loop(stores.clone(), key, value, revision));
        Ok(Self { _renewal: AbortOnDropHandle::new(renewal) })
    }
}

enum Attempt {
    /// This process owns the key, at this revision.
    Held(u64),
    /// Another process owns the key.
    Taken { holder: String, revision: u64 },
}

async fn create(stores: &Stores, key: &str, value: &Bytes) -> Result<Attempt, JournalError> {
    match stores.nodes.create(key, value.clone()).await {
        Ok(revision) => return Ok(Attempt::Held(revision)),
        Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let entry = last_message(&stores.nodes.stream, &format!("{}{key}", stores.nodes.prefix)).await?;
    let entry = entry.ok_or_else(|| JournalError::Unavailable("NATS: a key has expired in between".into()))?;
    // The entry may be this process's own, if the reply was lost.
    Ok(match entry.payload == *value {
        true => Attempt::Held(entry.sequence),
        false => {
            Attempt::Taken { holder: String::from_utf8_lossy(&entry.payload).into_owned(), revision: entry.sequence }
        }
    })
}

/// Returns `None` if another process has taken the key.
async fn renew(stores: &Stores, key: &str, value: &Bytes, revision: u64) -> Result<Option<u64>, JournalError> {
    update(&stores.nodes, key, value.clone(), revision).await.map_err(failed)
}

/// Whether a process subscribes to its requests. One that does not answer in time may be suspended, and counts as listening.
async fn is_listening(stores: &Stores, holder: &str) -> bool {
    let client = stores.context.client();
    let request = client.request(stores.names.node(holder), Bytes::new());
    match timeout(ANSWER_TIMEOUT, request).await {
        Ok(Err(error)) => error.kind() != RequestErrorKind::NoResponders,
        Ok(Ok(_)) | Err(_) => true,
    }
}

async fn renew_loop(stores: Stores, key: String, value: Bytes, mut revision: u64) {
    let mut is_lost = false;
    loop {
        sleep(RENEW_INTERVAL).await;
        let held = match renew(&stores, &key, &value, revision).await {
            // The key has expired, or another process has taken it.
            Ok(None) => match create(&stores, &key, &value).await {
                Ok(Attempt::Held(revision)) => Ok(Some(revision)),
                Ok(Attempt::Taken { .. }) => Ok(None),
                Err(error) => Err(error),
            },
            renewed => renewed,
        };
        match held {
            Ok(Some(renewed)) => revision = renewed,
            Ok(None) if !std::mem::replace(&mut is_lost, true) => {
                tracing::error!(
                    key,
                    "another process has taken the name of this node: their workers cannot be told apart"
                );
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(key, %error, "the name of this node could not be renewed"),
        }
    }
}

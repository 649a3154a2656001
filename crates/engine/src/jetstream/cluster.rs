//! Coordination of laps in a key-value bucket, and messages between nodes. Messages are not stored.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::kv::CreateErrorKind;
use async_nats::{Client, Message, Subscriber};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use tokio::time::{Instant, sleep};

use super::calls::{RETRY_PAUSE, retry, unavailable, update, with_timeout};
use super::node_name::NodeName;
use super::read::{last_message, scan};
use super::stores::{DELETE_MARKER_TTL, Stores};
use crate::cluster::{Coordination, Incoming, Messages};
use crate::dispatch::{LEASE_TTL, LapId, NodeId};
use crate::journal::JournalError;

/// The minimum age of the last renewal before the next one.
const RENEW_AFTER: Duration = Duration::from_secs(LEASE_TTL.as_secs() / 5);

/// [`Coordination`] and [`Messages`] on NATS. Clones are handles to the same node.
///
/// A coordinated lap has a key with the id of its coordinator. These keys do not expire. Instead each node has one key that expires, and
/// renews it for all its laps. A lap is free if its node has no such key.
#[derive(Clone)]
pub struct JetStreamCluster {
    stores: Stores,
    id: NodeId,
    held: Arc<Mutex<HashMap<LapId, Hold>>>,
    membership: Arc<tokio::sync::Mutex<Membership>>,
    /// The registration of this node's name, if it has one.
    name: Option<Arc<NodeName>>,
}

/// The key of a lap that this node coordinates.
#[derive(Clone, Copy)]
struct Hold {
    /// The revision at which the key was created.
    epoch: u64,
    /// The revision of the last write of the key.
    revision: u64,
    /// The term of membership during the last write of the key.
    term: u64,
}

/// The key of this node.
#[derive(Default)]
struct Membership {
    /// The revision of the key, and the time of its last renewal.
    renewed: Option<(u64, Instant)>,
    /// Counts how often the key was created again. Before each creation, other nodes may have acquired laps of this node.
    term: u64,
}

impl JetStreamCluster {
    pub(super) fn new(stores: Stores) -> Self {
        Self { stores, id: NodeId(rand::random()), held: Arc::default(), membership: Arc::default(), name: None }
    }

    /// Keeps a name registered until the last handle to this node is dropped.
    pub(super) fn hold_name(&mut self, name: NodeName) {
        self.name = Some(Arc::new(name));
    }

    fn held(&self) -> MutexGuard<'_, HashMap<LapId, Hold>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews this node's key unless the last renewal is recent. Returns the term.
    async fn renew_membership(&self) -> Result<u64, JournalError> {
        let mut membership = self.membership.lock().await;
        if let Some((revision, at)) = membership.renewed {
            if at.elapsed() < RENEW_AFTER {
                return Ok(membership.term);
            }
            let now = Instant::now();
            let renewed = retry(|| async {
                update(&self.stores.nodes, &self.id.to_string(), self.value(), revision).await.map_err(unavailable)
            });
            membership.renewed = renewed.await?.map(|revision| (revision, now));
        }
        if membership.renewed.is_none() {
            let now = Instant::now();
            let put =
                retry(|| async { self.stores.nodes.put(self.id.to_string(), self.value()).await.map_err(unavailable) });
            membership.renewed = Some((put.await?, now));
            membership.term += 1;
        }
        Ok(membership.term)
    }

    /// Rewrites the key of a lap that this node coordinates. Returns `None` if another node has acquired the lap.
    async fn confirm(&self, lap: LapId, hold: Hold, term: u64) -> Result<Option<Hold>, JournalError> {
        let revision = retry(|| async {
            update(&self.stores.coordinators, &key(lap), self.value(), hold.revision).await.map_err(unavailable)
        });
        Ok(revision.await?.map(|revision| Hold { revision, term, ..hold }))
    }

    /// Acquires a lap that has no coordinator, or a lost one. Returns `None` if another node coordinates it.
    async fn acquire(&self, lap: LapId, term: u64) -> Result<Option<Hold>, JournalError> {
        let revision = retry(|| async {
            match self.stores.coordinators.create(key(lap), self.value()).await {
                Ok(revision) => return Ok(Some(revision)),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {}
                Err(error) => return Err(unavailable(error)),
            }
            let Some(entry) = self.stores.coordinators.entry(key(lap)).await.map_err(unavailable)? else {
                return Err(unavailable("a key was deleted in between"));
            };
            // The key may be this node's own, if the reply was lost.
            if entry.value != self.value() && self.is_alive(&entry.value).await? {
                return Ok(None);
            }
            update(&self.stores.coordinators, &key(lap), self.value(), entry.revision).await.map_err(unavailable)
        });
        Ok(revision.await?.map(|revision| Hold { epoch: revision, revision, term }))
    }

    /// Whether the node in the value of a lap's key has a key of its own.
    async fn is_alive(&self, value: &[u8]) -> Result<bool, JournalError> {
        let Ok(node) = serde_json::from_slice::<String>(value) else { return Ok(false) };
        let entry = last_message(&self.stores.nodes.stream, &format!("{}{node}", self.stores.nodes.prefix)).await?;
        // A message without a value marks an expired key.
        Ok(entry.is_some_and(|entry| !entry.payload.is_empty()))
    }

    /// The value of this node's keys.
    fn value(&self) -> Bytes {
        format!("{:?}", self.id.to_string()).into()
    }

    fn client(&self) -> Client {
        self.stores.context.client()
    }
}

#[async_trait]
impl Coordination for JetStreamCluster {
    async fn acquire_or_renew(&self, lap: LapId) -> Result<Option<u64>, JournalError> {
        let term = self.renew_membership().await?;
        let known = self.held().get(&lap).copied();
        let confirmed = match known {
            Some(hold) if hold.term == term => return Ok(Some(hold.epoch)),
            Some(hold) => self.confirm(lap, hold, term).await?,
            None => None,
        };
        let hold = match confirmed {
            Some(hold) => Some(hold),
            None => self.acquire(lap, term).await?,
        };
        match hold {
            Some(hold) => self.held().insert(lap, hold),
            None => self.held().remove(&lap),
        };
        Ok(hold.map(|hold| hold.epoch))
    }

    async fn uncoordinated(&self, laps: Vec<LapId>) -> Result<Vec<LapId>, JournalError> {
        if laps.is_empty() {
            return Ok(laps);
        }
        let held = scan::<String>(&self.stores.context, &self.stores.coordinators, ">").await?;
        let alive = scan::<String>(&self.stores.context, &self.stores.nodes, "*").await?;
        let own = self.id.to_string();
        let others: HashSet<&String> = alive.iter().map(|(node, _)| node).filter(|node| **node != own).collect();
        let elsewhere: HashSet<&String> =
            held.iter().filter(|(_, node)| others.contains(node)).map(|(key, _)| key).collect();
        Ok(laps.into_iter().filter(|lap| !elsewhere.contains(&key(*lap))).collect())
    }

    async fn abandon(&self, lap: LapId) {
        let hold = self.held().remove(&lap);
        // Only while this node owns the key. If this fails, the lap is free once the key of this node has expired.
        if let Some(Hold { revision, .. }) = hold {
            let purge = self.stores.coordinators.purge_expect_revision_with_ttl(key(lap), revision, DELETE_MARKER_TTL);
            if let Err(error) = with_timeout(purge).await {
                tracing::debug!(%error, "the key of a lap could not be deleted");
            }
        }
    }
}

#[async_trait]
impl Messages for JetStreamCluster {
    fn id(&self) -> NodeId {
        self.id
    }

    fn max_bytes(&self) -> usize {
        self.stores.largest_body
    }

    async fn broadcast(&self, message: Bytes) {
        // Without a connection the client would queue the message and send it when it is outdated.
        if self.stores.is_connected()
            && let Err(error) = with_timeout(self.client().publish(self.stores.names.nodes(), message)).await
        {
            tracing::debug!(%error, "a message to all nodes is lost");
        }
    }

    fn broadcasts(&self) -> BoxStream<'static, Bytes> {
        messages(self.client(), self.stores.names.nodes()).map(|message| message.payload).boxed()
    }

    async fn request(&self, to: NodeId, request: Bytes) -> Result<Bytes, JournalError> {
        if !self.stores.is_connected() {
            return Err(unavailable("there is no connection"));
        }
        Ok(with_timeout(self.client().request(self.stores.names.node(&to.to_string()), request)).await?.payload)
    }

    fn requests(&self) -> BoxStream<'static, Incoming> {
        let client = self.client();
        let requests =
            messages(client.clone(), self.stores.names.node(&self.id.to_string())).filter_map(move |message| {
                let client = client.clone();
                async move {
                    let to = message.reply?;
                    let reply = move |reply: Bytes| {
                        tokio::spawn(async move { with_timeout(client.publish(to, reply)).await.map(drop) });
                    };
                    Some(Incoming { request: message.payload, reply: Box::new(reply) })
                }
            });
        requests.boxed()
    }
}

/// Subscribes to a subject. The client resubscribes after a lost connection.
fn messages(client: Client, subject: String) -> impl Stream<Item = Message> + Send {
    stream::unfold(None, move |subscription: Option<Subscriber>| {
        let (client, subject) = (client.clone(), subject.clone());
        async move {
            let mut subscription = subscription;
            loop {
                if let Some(known) = &mut subscription
                    && let Some(message) = known.next().await
                {
                    return Some((message, subscription));
                }
                match client.subscribe(subject.clone()).await {
                    Ok(fresh) => subscription = Some(fresh),
                    Err(error) => {
                        tracing::debug!(%error, subject, "cannot subscribe; trying again");
                        sleep(RETRY_PAUSE).await;
                    }
                }
            }
        }
    })
}

fn key(LapId { batch, lap }: LapId) -> String {
    format!("{batch}.{lap}")
}

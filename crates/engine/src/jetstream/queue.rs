//! Leases in a work queue: each is given to one worker, and comes back if it is not heard of. And who keeps which lap.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::kv::{CreateErrorKind, UpdateErrorKind};
use async_nats::jetstream::message::{Acker, PublishMessage};
use async_nats::jetstream::{AckKind, Message};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use quilt::{BatchId, Position};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, sleep_until};

use super::nodes::Nodes;
use super::read::scan;
use super::stores::{LEASE_SUBJECT, Stores, TRACE, cut_subject};
use super::trouble::{PAUSE, in_time, insist, keep_trying, unavailable};
use crate::colleagues::Announcement;
use crate::journal::{JournalError, Mark};
use crate::queue::{ANNOUNCE, Claim, ClaimId, LapId, Lease, Queue};

/// How long a worker waits for a lease before it asks anew: the server that it asked may be lost.
const WAIT: Duration = Duration::from_secs(5);

/// How long a node listens to the others before it runs anything.
const LISTENING: Duration = ANNOUNCE.saturating_mul(2);

/// A [`Queue`] on NATS JetStream. Cloning gives another handle to it.
#[derive(Clone)]
pub struct JetStreamQueue {
    stores: Stores,
    state: Arc<State>,
}

struct State {
    /// Names this node as a keeper.
    id: String,
    since: Instant,
    counter: AtomicU64,
    claims: Mutex<HashMap<ClaimId, Claimed>>,
    /// The revisions at which this node's laps were renewed last.
    kept: Mutex<HashMap<LapId, u64>>,
    nodes: Nodes,
}

/// A message that was pulled.
struct Claimed {
    acker: Arc<Acker>,
    sequence: u64,
}

/// A lease as it stands in a message.
#[derive(Serialize, Deserialize)]
struct Stored {
    batch: BatchId,
    lap: u32,
    first: u32,
    end: u32,
    after: u64,
    /// How often it came back before it was stored.
    losses: u32,
    /// How long nobody is to have it after it was stored.
    delay_ms: u64,
}

impl Stored {
    fn new(lease: &Lease, delay: Duration) -> Self {
        Self {
            batch: lease.batch,
            lap: lease.lap,
            first: lease.positions.start.0,
            end: lease.positions.end.0,
            after: lease.after.0,
            losses: lease.losses,
            delay_ms: delay.as_millis() as u64,
        }
    }

    fn lease(&self) -> Lease {
        let Self { batch, lap, first, end, after, losses, .. } = *self;
        Lease { batch, lap, positions: Position(first)..Position(end), after: Mark(after), losses }
    }

    /// What is left of its delay.
    fn wait(&self, stored: OffsetDateTime) -> Duration {
        // Where the clocks differ, it waits no longer than it was to, and not at all at worst.
        let passed = Duration::try_from(OffsetDateTime::now_utc() - stored).unwrap_or_default();
        Duration::from_millis(self.delay_ms).saturating_sub(passed)
    }
}

impl JetStreamQueue {
    pub(super) fn new(stores: Stores) -> Self {
        let id = unique();
        let state = State {
            since: Instant::now(),
            counter: AtomicU64::default(),
            claims: Mutex::default(),
            kept: Mutex::default(),
            nodes: Nodes::new(stores.context.client(), &id),
            id,
        };
        Self { stores, state: Arc::new(state) }
    }

    fn claims(&self) -> MutexGuard<'_, HashMap<ClaimId, Claimed>> {
        self.state.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<LapId, u64>> {
        self.state.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a lease, once for each id.
    async fn store(&self, id: &str, lease: &Lease, delay: Duration) {
        // A struct of numbers and ids always has a form.
        let payload = Bytes::from(serde_json::to_vec(&Stored::new(lease, delay)).unwrap_or_default());
        insist(|| async {
            let message = PublishMessage::build().payload(payload.clone()).message_id(id);
            self.stores.context.send_publish(LEASE_SUBJECT, message).await?.await
        })
        .await;
    }

    /// Waits for a message.
    async fn next_message(&self) -> Result<Option<Message>, async_nats::Error> {
        let mut messages = self.stores.workers.batch().max_messages(1).expires(WAIT).messages().await?;
        messages.next().await.transpose()
    }

    /// Takes a message for a claim, unless nothing is to be run now.
    async fn claim(&self, message: Message) -> Result<Option<Claim>, async_nats::Error> {
        let info = message.info()?;
        let (sequence, deliveries, published) =
            (info.stream_sequence, info.delivered.unsigned_abs().max(1), info.published);
        let (message, acker) = message.split();
        let Ok(stored) = serde_json::from_slice::<Stored>(&message.payload) else {
            tracing::error!(sequence, "a lease cannot be read, and is dropped");
            acker.ack_with(AckKind::Term).await?;
            return Ok(None);
        };
        let mut lease = stored.lease();
        let wait = stored.wait(published);
        if deliveries == 1 && !wait.is_zero() {
            acker.ack_with(AckKind::Nak(Some(wait))).await?;
            return Ok(None);
        }
        // One that was given back for later has been delivered once for that.
        let losses = deliveries.saturating_sub(if stored.delay_ms > 0 { 2 } else { 1 });
        if deliveries > 1 {
            self.cut(sequence, &mut lease).await;
        }
        lease.losses = lease.losses.saturating_add(u32::try_from(losses).unwrap_or(u32::MAX));
        if losses > 0 {
            tracing::warn!(batch = %lease.batch, losses = lease.losses, "a lease lapsed: its holder has not been heard of");
        }
        let id = ClaimId(self.state.counter.fetch_add(1, Ordering::Relaxed));
        self.claims().insert(id, Claimed { acker: Arc::new(acker), sequence });
        Ok(Some(Claim { id, lease }))
    }

    /// Cuts off what an earlier holder has handed on. Where that is not known, it may be run twice, and is settled once.
    async fn cut(&self, sequence: u64, lease: &mut Lease) {
        let cut = self.stores.cuts.get_last_raw_message_by_subject(&cut_subject(&sequence.to_string())).await;
        let end = cut.ok().and_then(|message| std::str::from_utf8(&message.payload).ok()?.parse().ok());
        if let Some(end) = end {
            lease.positions.end = lease.positions.end.min(Position(end));
        }
    }

    fn acker(&self, claim: ClaimId) -> Option<Arc<Acker>> {
        self.claims().get(&claim).map(|claimed| Arc::clone(&claimed.acker))
    }

    /// Renews what this node keeps. `None` where it has lost it.
    async fn renew(&self, lap: LapId, revision: u64) -> Result<Option<u64>, JournalError> {
        keep_trying(|| async {
            match self.stores.keepers.update(key(lap), self.node(), revision).await {
                Ok(revision) => Ok(Some(revision)),
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
                Err(error) => Err(unavailable(error)),
            }
        })
        .await
    }

    /// Takes what nobody keeps. `None` where somebody else does.
    async fn take(&self, lap: LapId) -> Result<Option<u64>, JournalError> {
        keep_trying(|| async {
            match self.stores.keepers.create(key(lap), self.node()).await {
                Ok(revision) => return Ok(Some(revision)),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {}
                Err(error) => return Err(unavailable(error)),
            }
            // It may be this node's own, if the answer was lost.
            let entry = self.stores.keepers.entry(key(lap)).await.map_err(unavailable)?;
            Ok(entry.filter(|entry| entry.value == self.node()).map(|entry| entry.revision))
        })
        .await
    }

    /// This node, as its keys say it.
    fn node(&self) -> Bytes {
        format!("{:?}", self.state.id).into()
    }
}

#[async_trait]
impl Queue for JetStreamQueue {
    async fn push(&self, lease: Lease, delay: Duration) {
        self.store(&unique(), &lease, delay).await;
    }

    async fn pull(&self) -> Claim {
        // What limits all nodes have together is known when they have been heard.
        sleep_until(self.state.since + LISTENING).await;
        loop {
            let claim = match self.next_message().await {
                Ok(Some(message)) => self.claim(message).await,
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            match claim {
                Ok(Some(claim)) => return claim,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "no lease can be had; trying again");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn extend(&self, claim: ClaimId) {
        // Without a connection it would come too late, and be kept until there is one.
        if let Some(acker) = self.acker(claim).filter(|_| self.stores.is_connected())
            && let Err(error) = in_time(acker.ack_with(AckKind::Progress)).await
        {
            tracing::debug!(%error, "a lease could not be extended");
        }
    }

    async fn split(&self, claim: ClaimId, tail: Lease) {
        self.push(tail.clone(), Duration::ZERO).await;
        let sequence = self.claims().get(&claim).map(|claimed| claimed.sequence);
        if let Some(sequence) = sequence {
            let cut = tail.positions.start.0.to_string();
            // Nobody waits for the answer: without this the tail is run twice at worst, and only if the claim comes back.
            let client = self.stores.context.client();
            if let Err(error) = in_time(client.publish(cut_subject(&sequence.to_string()), cut.into())).await {
                tracing::debug!(%error, "it is not noted where a lease was cut");
            }
        }
    }

    async fn finish(&self, claim: ClaimId) {
        let claimed = self.claims().remove(&claim);
        if let Some(Claimed { acker, .. }) = claimed
            && let Err(error) = in_time(acker.ack()).await
        {
            tracing::debug!(%error, "a lease could not be let go of, and comes back");
        }
    }

    async fn is_idle(&self) -> Result<bool, JournalError> {
        let info = keep_trying(|| async { self.stores.workers.get_info().await.map_err(unavailable) }).await?;
        Ok(info.num_pending == 0 && info.num_ack_pending == 0)
    }

    async fn keep(&self, lap: LapId) -> Result<bool, JournalError> {
        let known = self.kept().get(&lap).copied();
        let renewed = match known {
            Some(revision) => self.renew(lap, revision).await?,
            None => None,
        };
        let revision = match renewed {
            Some(revision) => Some(revision),
            None => self.take(lap).await?,
        };
        match revision {
            Some(revision) => self.kept().insert(lap, revision),
            None => self.kept().remove(&lap),
        };
        Ok(revision.is_some())
    }

    async fn unkept(&self, laps: Vec<LapId>) -> Result<Vec<LapId>, JournalError> {
        if laps.is_empty() {
            return Ok(laps);
        }
        let kept = scan::<String>(&self.stores.context, &self.stores.keepers, ">").await?;
        let elsewhere: HashSet<String> =
            kept.into_iter().filter(|(_, node)| *node != self.state.id).map(|(key, _)| key).collect();
        Ok(laps.into_iter().filter(|lap| !elsewhere.contains(&key(*lap))).collect())
    }

    async fn start(&self, lap: LapId, lease: Lease) {
        if insist(|| self.stores.started.get(key(lap))).await.is_some() {
            return;
        }
        // Where the note below was not written, the id keeps the lease from being stored again, for some minutes.
        self.store(&key(lap), &lease, Duration::ZERO).await;
        insist(|| self.stores.started.put(key(lap), self.node())).await;
    }

    async fn let_go(&self, lap: LapId) {
        let kept = self.kept().remove(&lap);
        // Only while it is this node's; otherwise, or if this fails, the key goes by itself.
        if let Some(revision) = kept
            && let Err(error) =
                in_time(self.stores.keepers.purge_expect_revision_with_ttl(key(lap), revision, TRACE)).await
        {
            tracing::debug!(%error, "a lap is let go of later");
        }
    }

    async fn announce(&self, announcement: &Announcement) {
        if self.stores.is_connected() {
            let client = self.stores.context.client();
            self.state.nodes.tell(&client, announcement, self.stores.largest_body).await;
        }
    }

    fn colleagues(&self) -> Vec<Announcement> {
        self.state.nodes.heard()
    }
}

fn key(LapId { batch, lap }: LapId) -> String {
    format!("{batch}.{lap}")
}

/// An id that there was never before.
fn unique() -> String {
    format!("{:032x}", rand::random::<u128>())
}

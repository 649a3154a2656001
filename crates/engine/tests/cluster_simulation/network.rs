//! A cluster in memory: nodes that are cut off and come back, messages that are late or lost, and a journal that only nodes reach that are
//! connected.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use engine::Cluster;
use engine::cluster::{Coordination, Incoming, Messages};
use engine::dispatch::{LEASE_TTL, LapId, NodeId};
use engine::journal::{
    BatchListItem, BatchMeta, Blobs, Catalog, Cleanup, Creation, EventLog, EventPage, Journal, JournalError, Offset,
    OpenBatch, Retention, Sequence, SquareDetail,
};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use quilt::{BatchId, Event, Launched, OwnerId, Receipt, Summary};
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::memory::MemoryJournal;

/// How long a node waits for a reply that does not come.
const REPLY_TIME: Duration = Duration::from_secs(5);

/// Connects the nodes of one world.
pub(crate) struct Network {
    pub(crate) journal: MemoryJournal,
    state: Mutex<State>,
}

struct State {
    random: Xoshiro256PlusPlus,
    /// The share of messages that are lost.
    loss: f64,
    nodes: BTreeMap<NodeId, Node>,
    holds: BTreeMap<LapId, Hold>,
    epochs: u64,
    cut_off: BTreeSet<NodeId>,
}

struct Node {
    broadcasts: mpsc::UnboundedSender<Bytes>,
    requests: mpsc::UnboundedSender<Incoming>,
}

struct Hold {
    node: NodeId,
    epoch: u64,
    renewed: Instant,
}

/// What a node receives, until it is asked for.
type Inbox<T> = Mutex<Option<mpsc::UnboundedReceiver<T>>>;

/// One node's way into the network.
pub(crate) struct Endpoint {
    id: NodeId,
    network: Arc<Network>,
    broadcasts: Inbox<Bytes>,
    requests: Inbox<Incoming>,
}

impl Network {
    pub(crate) fn new(seed: u64, loss: f64) -> Arc<Self> {
        Arc::new(Self {
            journal: MemoryJournal::default(),
            state: Mutex::new(State {
                random: Xoshiro256PlusPlus::seed_from_u64(seed),
                loss,
                nodes: BTreeMap::new(),
                holds: BTreeMap::new(),
                epochs: 0,
                cut_off: BTreeSet::new(),
            }),
        })
    }

    /// Adds a node.
    pub(crate) fn join(self: &Arc<Self>) -> Arc<Endpoint> {
        let mut state = self.state();
        let id = NodeId(state.random.random());
        let (broadcast, broadcasts) = mpsc::unbounded_channel();
        let (request, requests) = mpsc::unbounded_channel();
        state.nodes.insert(id, Node { broadcasts: broadcast, requests: request });
        Arc::new(Endpoint {
            id,
            network: Arc::clone(self),
            broadcasts: Mutex::new(Some(broadcasts)),
            requests: Mutex::new(Some(requests)),
        })
    }

    /// Cuts a node off from the others and from the journal, or connects it again.
    pub(crate) fn cut_off(&self, node: NodeId, is_cut_off: bool) {
        let mut state = self.state();
        match is_cut_off {
            true => state.cut_off.insert(node),
            false => state.cut_off.remove(&node),
        };
    }

    pub(crate) fn is_cut_off(&self, node: NodeId) -> bool {
        self.state().cut_off.contains(&node)
    }

    pub(crate) fn set_loss(&self, loss: f64) {
        self.state().loss = loss;
    }

    pub(crate) fn random<T>(&self, draw: impl FnOnce(&mut Xoshiro256PlusPlus) -> T) -> T {
        draw(&mut self.state().random)
    }

    /// The node that coordinates a lap.
    pub(crate) fn coordinator(&self, lap: LapId) -> Option<NodeId> {
        self.state().holds.get(&lap).map(|hold| hold.node)
    }

    async fn delay(&self) {
        let millis = self.random(|random| random.random_range(0..6));
        match millis {
            0..3 => tokio::task::yield_now().await,
            millis => sleep(Duration::from_millis(millis)).await,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn arrives(&mut self, from: NodeId, to: NodeId) -> bool {
        let is_lost = self.loss > 0.0 && self.random.random_bool(self.loss);
        !is_lost && !self.cut_off.contains(&from) && !self.cut_off.contains(&to)
    }
}

impl Endpoint {
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn cluster(self: &Arc<Self>) -> Cluster {
        Cluster { coordination: Arc::clone(self) as _, messages: Arc::clone(self) as _ }
    }

    /// Calls to the journal take their time, and have no effect while the node is cut off.
    async fn reach<T>(&self, call: impl Future<Output = Result<T, JournalError>>) -> Result<T, JournalError> {
        self.network.delay().await;
        if self.network.is_cut_off(self.id) {
            sleep(REPLY_TIME).await;
            return Err(JournalError::Unavailable("cut off".into()));
        }
        call.await
    }
}

#[async_trait]
impl Coordination for Endpoint {
    async fn acquire_or_renew(&self, lap: LapId) -> Result<Option<u64>, JournalError> {
        let acquire = async {
            let mut state = self.network.state();
            state.holds.retain(|_, hold| hold.renewed.elapsed() < LEASE_TTL);
            state.epochs += 1;
            let epoch = state.epochs;
            let hold = state.holds.entry(lap).or_insert(Hold { node: self.id, epoch, renewed: Instant::now() });
            Ok((hold.node == self.id).then(|| {
                hold.renewed = Instant::now();
                hold.epoch
            }))
        };
        self.reach(acquire).await
    }

    async fn uncoordinated(&self, laps: Vec<LapId>) -> Result<Vec<LapId>, JournalError> {
        let look = async {
            let state = self.network.state();
            let elsewhere = |lap: &LapId| {
                state.holds.get(lap).is_some_and(|hold| hold.node != self.id && hold.renewed.elapsed() < LEASE_TTL)
            };
            Ok(laps.into_iter().filter(|lap| !elsewhere(lap)).collect())
        };
        self.reach(look).await
    }

    async fn abandon(&self, lap: LapId) {
        let abandon = async {
            let mut state = self.network.state();
            if state.holds.get(&lap).is_some_and(|hold| hold.node == self.id) {
                state.holds.remove(&lap);
            }
            Ok(())
        };
        let _ = self.reach(abandon).await;
    }
}

#[async_trait]
impl Messages for Endpoint {
    fn id(&self) -> NodeId {
        self.id
    }

    fn max_bytes(&self) -> usize {
        1 << 20
    }

    async fn broadcast(&self, message: Bytes) {
        self.network.delay().await;
        let mut state = self.network.state();
        let nodes: Vec<NodeId> = state.nodes.keys().copied().collect();
        for to in nodes {
            if state.arrives(self.id, to)
                && let Some(node) = state.nodes.get(&to)
            {
                let _ = node.broadcasts.send(message.clone());
            }
        }
    }

    fn broadcasts(&self) -> BoxStream<'static, Bytes> {
        receive(&self.broadcasts)
    }

    async fn request(&self, to: NodeId, request: Bytes) -> Result<Bytes, JournalError> {
        self.network.delay().await;
        let (answer, mut reply) = oneshot::channel();
        {
            let mut state = self.network.state();
            if state.arrives(self.id, to)
                && let Some(node) = state.nodes.get(&to)
            {
                let reply = Box::new(move |reply| drop(answer.send(reply)));
                let _ = node.requests.send(Incoming { request, reply });
            }
        }
        let reply = tokio::time::timeout(REPLY_TIME, &mut reply).await;
        self.network.delay().await;
        match reply {
            Ok(Ok(reply)) if self.network.state().arrives(to, self.id) => Ok(reply),
            Ok(Err(_)) => {
                sleep(REPLY_TIME).await;
                Err(JournalError::Unavailable("nobody answers".into()))
            }
            _ => Err(JournalError::Unavailable("no reply".into())),
        }
    }

    fn requests(&self) -> BoxStream<'static, Incoming> {
        receive(&self.requests)
    }
}

fn receive<T: Send + 'static>(inbox: &Inbox<T>) -> BoxStream<'static, T> {
    let receiver = inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
    stream::unfold(receiver, |receiver| async move {
        let mut receiver = receiver?;
        receiver.recv().await.map(|message| (message, Some(receiver)))
    })
    .boxed()
}

#[async_trait]
impl EventLog for Endpoint {
    async fn create(
        &self,
        batch: BatchId,
        owner: OwnerId,
        launched: Launched,
        input: Option<Bytes>,
    ) -> Result<Creation, JournalError> {
        self.reach(self.network.journal.create(batch, owner, launched, input)).await
    }

    async fn append(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
    ) -> Result<Sequence, JournalError> {
        self.reach(self.network.journal.append(batch, events, details)).await
    }

    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<EventPage, JournalError>> {
        let network = Arc::clone(&self.network);
        let id = self.id;
        let pages = network.journal.follow(batch, after);
        // What was written is seen some time later, and not while the node is cut off.
        Box::pin(pages.then(move |page| {
            let network = Arc::clone(&network);
            async move {
                network.delay().await;
                while network.is_cut_off(id) {
                    sleep(Duration::from_millis(100)).await;
                }
                page
            }
        }))
    }
}

#[async_trait]
impl Blobs for Endpoint {
    async fn input(&self, batch: BatchId) -> Result<Option<Bytes>, JournalError> {
        self.reach(self.network.journal.input(batch)).await
    }

    async fn input_size(&self, batch: BatchId) -> Result<Option<u64>, JournalError> {
        self.reach(self.network.journal.input_size(batch)).await
    }

    async fn details(&self, batch: BatchId, squares: Range<u32>) -> Result<Vec<SquareDetail>, JournalError> {
        self.reach(self.network.journal.details(batch, squares)).await
    }
}

#[async_trait]
impl Catalog for Endpoint {
    async fn find(&self, batch: BatchId) -> Result<Option<BatchMeta>, JournalError> {
        self.reach(self.network.journal.find(batch)).await
    }

    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<BatchListItem>, JournalError> {
        self.reach(self.network.journal.list(owner, after, limit)).await
    }

    async fn unfinished(&self) -> Result<Vec<OpenBatch>, JournalError> {
        self.reach(self.network.journal.unfinished()).await
    }

    async fn finalize(
        &self,
        batch: BatchId,
        lap: u32,
        summary: Summary,
        receipts: Vec<Receipt>,
    ) -> Result<(), JournalError> {
        self.reach(self.network.journal.finalize(batch, lap, summary, receipts)).await
    }
}

#[async_trait]
impl Cleanup for Endpoint {
    async fn remove(&self, batch: BatchId) -> Result<bool, JournalError> {
        self.reach(self.network.journal.remove(batch)).await
    }

    async fn expired(&self, retention: Retention, skip: u32, limit: u32) -> Result<Vec<BatchId>, JournalError> {
        self.reach(self.network.journal.expired(retention, skip, limit)).await
    }

    async fn purge(&self) -> Result<bool, JournalError> {
        self.network.journal.purge().now_or_never().unwrap_or(Ok(false))
    }
}

impl Journal for Endpoint {}

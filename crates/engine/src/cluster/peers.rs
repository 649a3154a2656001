//! The other nodes, and what follows from their statuses for this one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

pub use quilt::wire::Node;
use quilt::wire::{Load, MAX_WORKERS, Running, WorkerLoad};
use quilt::{BatchId, Position, Timestamp};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::messages::{NodeStatus, PROTOCOL, RunningTask};
use crate::dispatch::{Holder, NodeId};

/// How long a node may be silent before it does not count any more.
const SILENCE: Duration = Duration::from_secs(6);

/// How old the last own status may be that was received, for messages to be taken to arrive.
const ECHO_TIME: Duration = Duration::from_secs(2);

/// The name of one of a node's workers, which are numbered from 1.
pub(crate) fn worker_name(node: &Node, number: u32) -> Box<str> {
    format!("{}-{number}", node.name).into()
}

/// The most tasks that a node may run at the same time.
pub const MAX_SLOTS: u32 = 65_536;

impl NodeStatus {
    /// What a viewer of a batch is told of this node's workers.
    fn workers(&self, batch: BatchId) -> impl Iterator<Item = WorkerLoad> + '_ {
        (1..=self.node.slots).map(move |number| {
            let task = self.running.iter().find(|task| task.worker == number && task.batch == batch);
            let running = task.map(|task: &RunningTask| Running {
                position: Position(task.position),
                attempt: task.attempt,
                started_at: Timestamp(task.started_at),
            });
            WorkerLoad { name: worker_name(&self.node, number), running }
        })
    }
}

/// The other nodes, by their last statuses.
pub(crate) struct Peers {
    own: Node,
    state: RwLock<State>,
    /// How many tasks all nodes together run at the same time.
    slots: AtomicU32,
    changed: Notify,
}

#[derive(Default)]
struct State {
    peers: BTreeMap<NodeId, Peer>,
    /// When this node received its own status last: messages arrive.
    echoed: Option<Instant>,
    /// Since when they have arrived without a break.
    reachable_since: Option<Instant>,
}

struct Peer {
    status: NodeStatus,
    /// By the time in which messages arrive.
    received: Duration,
    /// How many owners have work that it can hand out, by its status or a later reply.
    ready: u32,
}

impl Peers {
    /// For a node that has not received a status of another one.
    pub(crate) fn of(own: &Node) -> Self {
        Self { own: own.clone(), state: RwLock::default(), slots: AtomicU32::new(own.slots), changed: Notify::new() }
    }

    /// Takes note of a status, also of this node's own. `live` is the time in which messages arrive.
    pub(crate) fn update(&self, status: NodeStatus, own: NodeId, live: Duration) {
        let has_work = status.ready > 0;
        let mut state = self.write();
        if status.id == own {
            let now = Instant::now();
            if state.echoed.is_none_or(|echoed| now - echoed >= ECHO_TIME) {
                state.reachable_since = Some(now);
            }
            state.echoed = Some(now);
        } else if status.node.slots <= MAX_SLOTS {
            let is_new = !state.peers.contains_key(&status.id);
            if is_new && status.node.name == self.own.name {
                tracing::error!(name = %self.own.name, host = %status.node.host, "another node has the same name: their workers cannot be told apart");
            }
            if is_new && status.protocol != PROTOCOL {
                tracing::error!(node = %status.node.name, version = %status.node.version, protocol = status.protocol, own = PROTOCOL, "a node of another version does not take part: upgrade all nodes to the same version");
            }
            let ready = status.ready;
            state.peers.insert(status.id, Peer { status, received: live, ready });
        }
        self.count_slots(&state);
        drop(state);
        if has_work {
            // Each worker that waits asks by itself.
            self.changed.notify_waiters();
        }
    }

    /// Forgets the nodes that have been silent for too long of the time in which messages arrive.
    pub(crate) fn forget_silent(&self, live: Duration) {
        let mut state = self.write();
        state.peers.retain(|_, peer| live.saturating_sub(peer.received) < SILENCE);
        self.count_slots(&state);
    }

    fn count_slots(&self, state: &State) {
        let others = state.peers.values().filter(|peer| !peer.status.is_draining);
        let slots = others.fold(self.own.slots, |sum, peer| sum.saturating_add(peer.status.node.slots));
        self.slots.store(slots, Ordering::Relaxed);
    }

    /// Whether messages arrive at this moment.
    pub(crate) fn is_reachable(&self) -> bool {
        self.read().echoed.is_some_and(|echoed| echoed.elapsed() < ECHO_TIME)
    }

    /// For how long messages have arrived without a break.
    pub(crate) fn reachable_for(&self) -> Duration {
        let state = self.read();
        let is_reachable = state.echoed.is_some_and(|echoed| echoed.elapsed() < ECHO_TIME);
        state.reachable_since.filter(|_| is_reachable).map(|since| since.elapsed()).unwrap_or_default()
    }

    /// How many tasks all nodes together run at the same time.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.load(Ordering::Relaxed)
    }

    /// The nodes that messages can be exchanged with.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        let state = self.read();
        state.peers.values().filter(|peer| peer.status.protocol == PROTOCOL).map(|peer| peer.status.id).collect()
    }

    /// The nodes that run tasks, this one included.
    pub(crate) fn working(&self) -> Vec<Holder> {
        let state = self.read();
        let works = |status: &NodeStatus| status.protocol == PROTOCOL && status.node.slots > 0 && !status.is_draining;
        let others = state.peers.iter().filter(|(_, peer)| works(&peer.status)).map(|(id, _)| Holder::Peer(*id));
        others.chain((self.own.slots > 0).then_some(Holder::Here)).collect()
    }

    /// The nodes that have work to hand out, with the number of its owners.
    pub(crate) fn ready(&self) -> Vec<(NodeId, u32)> {
        let state = self.read();
        let ready = state.peers.iter().filter(|(_, peer)| peer.ready > 0 && peer.status.protocol == PROTOCOL);
        ready.map(|(id, peer)| (*id, peer.ready)).collect()
    }

    /// Takes note of how much work a node has, by its reply.
    pub(crate) fn set_ready(&self, id: NodeId, ready: u32) {
        if let Some(peer) = self.write().peers.get_mut(&id) {
            peer.ready = ready;
        }
    }

    /// Completes when some node has work to hand out. Enable it before looking at [`Peers::ready`].
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Adds what a viewer of a batch is told of the other nodes.
    pub(crate) fn add_to(&self, load: &mut Load, batch: BatchId) {
        for Peer { status, .. } in self.read().peers.values() {
            load.stuck = load.stuck.saturating_add(status.unresponsive);
            load.nodes.push(status.node.clone());
            load.workers.extend(status.workers(batch));
        }
        load.nodes.truncate(MAX_WORKERS as usize);
        if load.workers.len() > MAX_WORKERS as usize {
            // Those that run something are what is looked for.
            load.workers.sort_by_key(|worker| worker.running.is_none());
            load.workers.truncate(MAX_WORKERS as usize);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: NodeId = NodeId(1);

    fn node(name: &str, slots: u32) -> Node {
        Node { name: name.into(), host: "here".into(), slots, version: "1".into() }
    }

    fn status(id: u128, name: &str, slots: u32) -> NodeStatus {
        NodeStatus {
            id: NodeId(id),
            protocol: PROTOCOL,
            node: node(name, slots),
            ready: 0,
            unresponsive: 0,
            is_draining: false,
            running: Vec::new(),
        }
    }

    #[test]
    fn the_slots_of_nodes_count_until_they_drain_or_are_silent() {
        let peers = Peers::of(&node("a", 8));
        peers.update(status(2, "b", 4), OWN, Duration::ZERO);
        peers.update(status(3, "c", 2), OWN, Duration::ZERO);
        assert_eq!(peers.slots(), 14);
        peers.update(NodeStatus { is_draining: true, ..status(3, "c", 2) }, OWN, Duration::ZERO);
        assert_eq!(peers.slots(), 12);
        peers.update(status(3, "c", 2), OWN, SILENCE);
        peers.forget_silent(SILENCE);
        assert_eq!((peers.slots(), peers.ids()), (10, vec![NodeId(3)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_without_an_echo_of_its_own_is_not_reachable() {
        let peers = Peers::of(&node("a", 8));
        peers.update(status(2, "b", 4), OWN, Duration::ZERO);
        assert!(!peers.is_reachable());
        peers.update(status(1, "a", 8), OWN, Duration::ZERO);
        assert!(peers.is_reachable());
        tokio::time::advance(ECHO_TIME / 2).await;
        peers.update(status(1, "a", 8), OWN, Duration::ZERO);
        assert_eq!(peers.reachable_for(), ECHO_TIME / 2);
        tokio::time::advance(ECHO_TIME).await;
        assert!(!peers.is_reachable() && peers.reachable_for().is_zero());
        peers.update(status(1, "a", 8), OWN, Duration::ZERO);
        assert!(peers.is_reachable() && peers.reachable_for().is_zero(), "it starts anew");
    }

    #[test]
    fn work_of_nodes_of_another_protocol_is_not_asked_for() {
        let peers = Peers::of(&node("a", 8));
        peers.update(NodeStatus { ready: 2, ..status(2, "b", 4) }, OWN, Duration::ZERO);
        peers.update(NodeStatus { ready: 3, protocol: PROTOCOL + 1, ..status(3, "c", 4) }, OWN, Duration::ZERO);
        assert_eq!((peers.ready(), peers.ids()), (vec![(NodeId(2), 2)], vec![NodeId(2)]));
        peers.set_ready(NodeId(2), 0);
        assert_eq!(peers.ready(), []);
    }

    #[test]
    fn a_viewer_is_told_what_their_workers_run_of_the_batch() {
        let [one, other] = [1, 2].map(|number| BatchId::from_bytes([number; 16]));
        let task = |worker, batch| RunningTask { worker, batch, position: 7, attempt: 2, started_at: 9 };
        let peers = Peers::of(&node("a", 1));
        let running = vec![task(1, other), task(3, one)];
        peers.update(NodeStatus { running, unresponsive: 1, ..status(2, "b", 3) }, OWN, Duration::ZERO);
        let mut load = Load { now: Timestamp(1), stuck: 1, nodes: vec![node("a", 1)], workers: Vec::new() };
        peers.add_to(&mut load, one);
        let running = Running { position: Position(7), attempt: 2, started_at: Timestamp(9) };
        let told: Vec<_> = load.workers.into_iter().map(|worker| (worker.name.to_string(), worker.running)).collect();
        assert_eq!(told, [("b-1".into(), None), ("b-2".into(), None), ("b-3".into(), Some(running))]);
        assert_eq!((load.nodes, load.stuck), (vec![node("a", 1), node("b", 3)], 2));
    }
}

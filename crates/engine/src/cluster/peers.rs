//! The other nodes, based on their statuses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::messages::{ForeignNode, ForeignStatus, NodeStatus, PROTOCOL};
use crate::dispatch::{Holder, LEASE_TTL, NodeId};
use crate::slots::{BySlotClass, MAX_SLOTS, Node, SlotClass, Slots};

/// How long a node may be silent until it no longer counts.
const SILENCE: Duration = Duration::from_secs(6);

/// The maximum age of the last own status received. If it is older, messages are assumed not to arrive.
const ECHO_TIME: Duration = Duration::from_secs(2);

/// Maximum number of incompatible nodes to remember. Each of them is logged once.
const MAX_REFUSED: usize = 1_000;

fn log_refusal(node: &str, version: &str, protocol: u32) {
    tracing::error!(
        node,
        version,
        protocol,
        own = PROTOCOL,
        "a node of another version does not take part: upgrade all nodes to the same version"
    );
}

/// The other nodes and their last statuses.
pub(crate) struct Peers {
    own: Node,
    state: RwLock<State>,
    /// The total number of slots of all nodes, by class.
    slots: BySlotClass<AtomicU32>,
    changed: BySlotClass<Notify>,
}

#[derive(Default)]
struct State {
    peers: BTreeMap<NodeId, Peer>,
    /// When this node last received its own status, which shows that messages arrive.
    echoed: Option<Instant>,
    /// The names and versions of nodes whose statuses cannot be read.
    refused: BTreeSet<(String, String)>,
    /// Since when they have arrived without interruption.
    reachable_since: Option<Instant>,
}

struct Peer {
    status: NodeStatus,
    /// When the status arrived, on the live clock.
    received: Duration,
    /// The number of owners with work that it can grant, from its status or a later reply.
    ready: Slots,
    /// Whether it no longer counts. Its workers may still hold leases.
    is_silent: bool,
}

impl Peer {
    fn is_compatible(&self) -> bool {
        self.status.protocol == PROTOCOL
    }
}

impl State {
    /// The peers that are not silent.
    fn known(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.peers.iter().filter(|(_, peer)| !peer.is_silent).map(|(id, peer)| (*id, peer))
    }
}

impl Peers {
    /// Without peers.
    pub(crate) fn of(own: &Node) -> Self {
        Self {
            own: own.clone(),
            state: RwLock::default(),
            slots: BySlotClass::from_fn(|class| AtomicU32::new(own.slots[class])),
            changed: BySlotClass::default(),
        }
    }

    /// Processes a status, which may be this node's own. `live` is the time on the live clock.
    pub(crate) fn update(&self, status: NodeStatus, own: NodeId, live: Duration) {
        let ready = status.ready;
        let mut state = self.write();
        if status.id == own {
            let now = Instant::now();
            if state.echoed.is_none_or(|echoed| now - echoed >= ECHO_TIME) {
                state.reachable_since = Some(now);
            }
            state.echoed = Some(now);
        } else if status.node.slots.iter().all(|slots| *slots <= MAX_SLOTS) {
            let is_new = !state.peers.contains_key(&status.id);
            if is_new && status.node.name == self.own.name {
                tracing::error!(name = %self.own.name, host = %status.node.host, "another node has the same name: their workers cannot be told apart");
            }
            if is_new && status.protocol != PROTOCOL {
                log_refusal(&status.node.name, &status.node.version, status.protocol);
            }
            state.peers.insert(status.id, Peer { status, received: live, ready, is_silent: false });
        }
        self.count_slots(&state);
        drop(state);
        for class in SlotClass::ALL {
            if ready[class] > 0 {
                // All waiting workers are woken, because each of them asks separately.
                self.changed[class].notify_waiters();
            }
        }
    }

    /// Logs a node whose status this version cannot read.
    pub(crate) fn refuse(&self, status: ForeignStatus) {
        let ForeignStatus { protocol, node: ForeignNode { name, version } } = status;
        let refused = &mut self.write().refused;
        if refused.len() < MAX_REFUSED && refused.insert((name.clone(), version.clone())) {
            log_refusal(&name, &version, protocol);
        }
    }

    /// Marks nodes as silent that have sent no status for too long, and removes them once their leases have expired. `live` is the time on
    /// the live clock.
    pub(crate) fn forget_silent(&self, live: Duration) {
        let mut state = self.write();
        state.peers.retain(|_, peer| {
            let silence = live.saturating_sub(peer.received);
            peer.is_silent = silence >= SILENCE;
            silence < LEASE_TTL
        });
        self.count_slots(&state);
    }

    fn count_slots(&self, state: &State) {
        for class in SlotClass::ALL {
            let others = state.known().filter(|(_, peer)| !peer.status.is_draining);
            let slots =
                others.fold(self.own.slots[class], |sum, (_, peer)| sum.saturating_add(peer.status.node.slots[class]));
            self.slots[class].store(slots, Ordering::Relaxed);
        }
    }

    /// Whether messages arrive at this moment.
    pub(crate) fn is_reachable(&self) -> bool {
        self.read().echoed.is_some_and(|echoed| echoed.elapsed() < ECHO_TIME)
    }

    /// How long messages have arrived without interruption.
    pub(crate) fn reachable_for(&self) -> Duration {
        let state = self.read();
        let is_reachable = state.echoed.is_some_and(|echoed| echoed.elapsed() < ECHO_TIME);
        state.reachable_since.filter(|_| is_reachable).map(|since| since.elapsed()).unwrap_or_default()
    }

    /// The total number of slots of a class on all nodes.
    pub(crate) fn slots(&self, class: SlotClass) -> u32 {
        self.slots[class].load(Ordering::Relaxed)
    }

    /// The compatible nodes that are not silent.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.read().known().filter(|(_, peer)| peer.is_compatible()).map(|(id, _)| id).collect()
    }

    /// All compatible nodes, including silent ones whose workers may still hold leases.
    pub(crate) fn holders(&self) -> Vec<NodeId> {
        let state = self.read();
        // A node that has drained and is silent has ended.
        let may_hold = |peer: &Peer| peer.is_compatible() && !(peer.is_silent && peer.status.is_draining);
        state.peers.iter().filter(|(_, peer)| may_hold(peer)).map(|(id, _)| *id).collect()
    }

    /// The nodes that run tasks of a slot class, including this one.
    pub(crate) fn working(&self, class: SlotClass) -> Vec<Holder> {
        let state = self.read();
        let works = |peer: &Peer| peer.is_compatible() && peer.status.node.slots[class] > 0 && !peer.status.is_draining;
        let others = state.known().filter(|(_, peer)| works(peer)).map(|(id, _)| Holder::Peer(id));
        others.chain((self.own.slots[class] > 0).then_some(Holder::Here)).collect()
    }

    /// The nodes with work to grant for a slot class, and the number of its owners.
    pub(crate) fn ready(&self, class: SlotClass) -> Vec<(NodeId, u32)> {
        let state = self.read();
        let ready = state.known().filter(|(_, peer)| peer.ready[class] > 0 && peer.is_compatible());
        ready.map(|(id, peer)| (id, peer.ready[class])).collect()
    }

    /// Updates the work of a node from its reply.
    pub(crate) fn set_ready(&self, id: NodeId, ready: Slots) {
        if let Some(peer) = self.write().peers.get_mut(&id) {
            peer.ready = ready;
        }
    }

    /// Completes when a node has work to grant for a slot class. Enable it before calling [`Peers::ready`].
    pub(crate) fn changed(&self, class: SlotClass) -> Notified<'_> {
        self.changed[class].notified()
    }

    /// The other nodes.
    pub(crate) fn nodes(&self) -> Vec<(NodeId, Node)> {
        self.read().known().map(|(id, peer)| (id, peer.status.node.clone())).collect()
    }

    /// The number of workers of other nodes that are blocked by an unresponsive attempt.
    pub(crate) fn unresponsive(&self) -> u32 {
        self.read().known().fold(0, |sum, (_, peer)| sum.saturating_add(peer.status.unresponsive))
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
    const CLASS: SlotClass = SlotClass::Compute;

    fn ready(groups: u32) -> Slots {
        Slots { compute: groups, ..Slots::default() }
    }

    fn node(name: &str, slots: u32) -> Node {
        Node { name: name.into(), host: "here".into(), slots: Slots::all(slots), version: "1".into() }
    }

    fn status(id: u128, name: &str, slots: u32) -> NodeStatus {
        NodeStatus {
            id: NodeId(id),
            protocol: PROTOCOL,
            node: node(name, slots),
            ready: Slots::default(),
            unresponsive: 0,
            is_draining: false,
        }
    }

    #[test]
    fn the_slots_of_nodes_count_until_they_drain_or_are_silent() {
        let peers = Peers::of(&node("a", 8));
        peers.update(status(2, "b", 4), OWN, Duration::ZERO);
        peers.update(status(3, "c", 2), OWN, Duration::ZERO);
        assert_eq!(peers.slots(CLASS), 14);
        peers.update(NodeStatus { is_draining: true, ..status(3, "c", 2) }, OWN, Duration::ZERO);
        assert_eq!(peers.slots(CLASS), 12);
        peers.update(status(3, "c", 2), OWN, SILENCE);
        peers.forget_silent(SILENCE);
        assert_eq!((peers.slots(CLASS), peers.ids()), (10, vec![NodeId(3)]));
        assert_eq!(peers.holders(), [NodeId(2), NodeId(3)], "it may still run something");
        peers.forget_silent(LEASE_TTL);
        assert_eq!(peers.holders(), [NodeId(3)]);
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
    fn a_status_of_another_version_says_at_least_who_sent_it() {
        let foreign = r#"{"id":"1","protocol":9,"node":{"name":"b","version":"7.0.0","slots":4},"mood":"good"}"#;
        assert!(serde_json::from_str::<NodeStatus>(foreign).is_err());
        let status: ForeignStatus = serde_json::from_str(foreign).expect("it names its sender");
        let peers = Peers::of(&node("a", 8));
        peers.refuse(status.clone());
        peers.refuse(status);
        assert_eq!((peers.read().refused.len(), peers.ids()), (1, Vec::new()));
    }

    #[test]
    fn work_of_nodes_of_another_protocol_is_not_asked_for() {
        let peers = Peers::of(&node("a", 8));
        peers.update(NodeStatus { ready: ready(2), ..status(2, "b", 4) }, OWN, Duration::ZERO);
        peers.update(NodeStatus { ready: ready(3), protocol: PROTOCOL + 1, ..status(3, "c", 4) }, OWN, Duration::ZERO);
        assert_eq!((peers.ready(CLASS), peers.ids()), (vec![(NodeId(2), 2)], vec![NodeId(2)]));
        assert_eq!(peers.ready(SlotClass::Process), [], "it has no such work");
        peers.set_ready(NodeId(2), Slots::default());
        assert_eq!(peers.ready(CLASS), []);
    }
}

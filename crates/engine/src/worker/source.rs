//! Obtains leases for the workers of a node, from its own scheduler and from coordinators on other nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quilt::{Position, ShareGroup};
use tokio::time::Instant;

use crate::cluster::{Peers, Remote};
use crate::dispatch::{
    Asker, Contact, FairOrder, Granted, Holder, Lease, LeaseMode, NodeId, Release, Scheduler, Validity, nanos,
};
use crate::estimate::CHUNK_TIME;
use crate::slots::SlotClass;

/// Obtains leases for the workers of one slot class of a node.
pub(crate) struct WorkSource {
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) peers: Arc<Peers>,
    /// `None` without other nodes.
    pub(crate) remote: Option<Arc<Remote>>,
    /// The maximum number of slots that may run one CPU-bound batch.
    pub(crate) cpu_bound_slots: u32,
    pub(crate) class: SlotClass,
    pub(crate) slots: u32,
    /// The number of slots that only run work of groups without another slot.
    pub(crate) reserved: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of slots that each group uses.
    groups: BTreeMap<ShareGroup, u32>,
    used: u32,
    coordinators: FairOrder<Coordinator>,
}

/// The coordinator of a lap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Coordinator {
    Here,
    Peer(NodeId),
}

/// A lease of a worker of this node. It is released when this is dropped, unless that has happened before.
pub(crate) struct Assignment {
    source: Arc<WorkSource>,
    lease: Lease,
    group: ShareGroup,
    validity: Arc<Validity>,
    /// Which coordinator was charged for it, and with which weight.
    charged: Option<(Coordinator, u32)>,
    started: Instant,
    is_released: bool,
}

impl WorkSource {
    /// For the slots of a class, some of which are reserved.
    pub(crate) fn new(
        scheduler: Arc<Scheduler>,
        peers: Arc<Peers>,
        remote: Option<Arc<Remote>>,
        cpu_bound_slots: u32,
        class: SlotClass,
        (slots, reserved): (u32, u32),
    ) -> Self {
        Self { scheduler, peers, remote, cpu_bound_slots, class, slots, reserved, state: Mutex::default() }
    }

    /// Waits for a lease. Cancel safe: no lease is held if the future is dropped.
    pub(crate) async fn next(self: &Arc<Self>) -> Assignment {
        loop {
            let mut of_peers = std::pin::pin!(self.peers.changed(self.class));
            of_peers.as_mut().enable();
            if let Some(assignment) = self.try_next().await {
                return assignment;
            }
            tokio::select! {
                biased;
                () = self.scheduler.changed(self.class) => {}
                () = of_peers => {}
            }
        }
    }

    /// Asks everybody who may have work once.
    async fn try_next(self: &Arc<Self>) -> Option<Assignment> {
        for coordinator in self.in_order() {
            let (coordinator, granted) = match coordinator {
                Coordinator::Here => (coordinator, self.claim_here()),
                Coordinator::Peer(id) => self.claim_of(id).await,
            };
            if let Some(granted) = granted {
                return Some(self.assign(coordinator, granted));
            }
        }
        None
    }

    fn claim_here(&self) -> Option<Granted> {
        self.scheduler.claim(&Asker {
            contact: Contact::HERE,
            class: self.class,
            cpu_bound_slots: self.cpu_bound_slots,
            workers: self.peers.slots(self.class),
            reserved_from: self.reserved_from(),
        })
    }

    /// Claims a chunk of another coordinator. A lost one takes seconds to time out: work of this node that becomes ready meanwhile is claimed
    /// instead.
    async fn claim_of(&self, id: NodeId) -> (Coordinator, Option<Granted>) {
        let coordinator = Coordinator::Peer(id);
        let Some(remote) = &self.remote else { return (coordinator, None) };
        let mut claim = std::pin::pin!(remote.claim(id, self.class, self.reserved_from()));
        loop {
            tokio::select! {
                biased;
                granted = &mut claim => return (coordinator, granted),
                () = self.scheduler.changed(self.class) => {
                    if let Some(granted) = self.claim_here() {
                        return (Coordinator::Here, Some(granted));
                    }
                }
            }
        }
    }

    fn assign(self: &Arc<Self>, coordinator: Coordinator, Granted { lease, group, validity }: Granted) -> Assignment {
        let mut state = self.state();
        *state.groups.entry(group).or_default() += 1;
        state.used += 1;
        let is_charged = state.coordinators.knows(coordinator);
        let weight = state.coordinators.pick(coordinator, nanos(CHUNK_TIME));
        Assignment {
            source: Arc::clone(self),
            lease,
            group,
            validity,
            charged: is_charged.then_some((coordinator, weight)),
            started: Instant::now(),
            is_released: false,
        }
    }

    /// The coordinators that may have work, ordered by the working time that they had from this node, lowest first. The weight of a
    /// coordinator is the number of groups with ready work.
    fn in_order(&self) -> Vec<Coordinator> {
        let peers = if self.remote.is_some() { self.peers.ready(self.class) } else { Vec::new() };
        if peers.is_empty() {
            return vec![Coordinator::Here];
        }
        let mut state = self.state();
        let here = self.scheduler.ready().borrow()[self.class];
        let known: Vec<Coordinator> = state.coordinators.in_order().collect();
        let is_gone = |coordinator: &Coordinator| match coordinator {
            Coordinator::Here => false,
            Coordinator::Peer(id) => !peers.iter().any(|(peer, _)| peer == id),
        };
        known.into_iter().filter(is_gone).for_each(|coordinator| state.coordinators.set_idle(coordinator));
        state.coordinators.set_ready(Coordinator::Here, here);
        for (id, ready) in &peers {
            state.coordinators.set_ready(Coordinator::Peer(*id), *ready);
        }
        state.coordinators.forget(is_gone);
        state.coordinators.in_order().collect()
    }

    /// The groups that the next free slot is reserved from, if it is a reserved one.
    fn reserved_from(&self) -> Option<BTreeSet<ShareGroup>> {
        let state = self.state();
        let is_reserved = self.slots.saturating_sub(state.used) <= self.reserved;
        is_reserved.then(|| state.groups.keys().copied().collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Assignment {
    /// The lease.
    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Whether the running time of its tasks is unknown.
    pub(crate) fn is_probe(&self) -> bool {
        self.lease.mode == LeaseMode::Probe
    }

    /// The slot class of the lease.
    pub(crate) fn class(&self) -> SlotClass {
        self.source.class
    }

    /// The validity of the lease.
    pub(crate) fn validity(&self) -> &Arc<Validity> {
        &self.validity
    }

    /// Shortens the lease. The positions from `end` on are released.
    pub(crate) fn shrink(&self, end: Position) {
        let is_remote = self.source.remote.as_ref().is_some_and(|remote| remote.shrink(self.lease.id, end));
        if !is_remote {
            self.source.scheduler.shrink(self.lease.lap, self.lease.id, Holder::Here, end);
        }
    }

    /// Releases the lease.
    pub(crate) fn release(mut self, release: &Release) {
        self.release_now(release);
    }

    fn release_now(&mut self, release: &Release) {
        if std::mem::replace(&mut self.is_released, true) {
            return;
        }
        {
            let mut state = self.source.state();
            state.used = state.used.saturating_sub(1);
            if let Some(slots) = state.groups.get_mut(&self.group) {
                *slots -= 1;
                if *slots == 0 {
                    state.groups.remove(&self.group);
                }
            }
            if let Some((coordinator, weight)) = self.charged {
                let nanos = nanos(self.started.elapsed()) - nanos(CHUNK_TIME);
                state.coordinators.settle(coordinator, nanos, weight);
            }
        }
        // The coordinator may have changed in the meantime, to another node or to this one.
        let Assignment { source, lease, .. } = self;
        let to_peer = || source.remote.as_ref().is_some_and(|remote| remote.release(lease.id, release.clone()));
        let is_known = to_peer() || source.scheduler.release(lease.lap, lease.id, Holder::Here, release.clone());
        if !is_known {
            // The lease has moved to another node in between.
            to_peer();
        }
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        let untouched = Release::untouched(&self.lease);
        self.release_now(&untouched);
    }
}

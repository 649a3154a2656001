//! Leases that this node holds from other coordinators.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quilt::{Position, ShareGroup};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::interface::Messages;
use super::peers::Peers;
use crate::dispatch::{Granted, LEASE_TTL, LapId, Lease, LeaseId, NodeId, Release, Validity};
use crate::slots::SlotClass;

/// How often held leases are confirmed.
pub(super) const CONFIRM_INTERVAL: Duration = Duration::from_secs(LEASE_TTL.as_secs() / 3);

/// How long a lease is valid after it was granted or confirmed. It is shorter than the time after which the coordinator grants it again.
pub(super) const CONFIRMED_TIME: Duration = Duration::from_secs(LEASE_TTL.as_secs() * 2 / 3);

/// The maximum number of leases from one coordinator, so that a list of them fits into a message.
const MAX_HELD: usize = 4_000;

/// The leases from other coordinators, and the exchanges with them.
pub(crate) struct Remote {
    pub(super) messages: Arc<dyn Messages>,
    pub(super) peers: Arc<Peers>,
    pub(super) cpu_bound_slots: u32,
    state: Mutex<State>,
    /// Notified when a coordinator has acknowledged releases.
    pub(super) acknowledged: watch::Sender<()>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) held: BTreeMap<LeaseId, Held>,
    pub(super) links: BTreeMap<NodeId, Link>,
    /// Counts the exchanges with all coordinators.
    pub(super) exchanges: u64,
}

pub(super) struct Held {
    pub(super) lease: Lease,
    /// The coordinator to which it is confirmed and released. `None` if no coordinator of the lap is known.
    pub(super) coordinator: Option<NodeId>,
    pub(super) validity: Arc<Validity>,
    /// Whether it was shortened, and the coordinator may not know it.
    pub(super) is_shrunk: bool,
    /// The result, and when the worker released it.
    pub(super) released: Option<(Release, Instant)>,
}

pub(super) struct Link {
    pub(super) wake: Arc<Notify>,
    pub(super) wants: Vec<(Option<BTreeSet<ShareGroup>>, Answer)>,
    pub(super) confirm_at: Instant,
    /// Whether the last exchange had no reply. This node does not know which leases it was granted then.
    pub(super) has_failed: bool,
    _exchanges: AbortOnDropHandle<()>,
}

/// The channel for a requested lease.
pub(super) type Answer = (SlotClass, oneshot::Sender<Granted>);

impl Remote {
    pub(crate) fn new(messages: Arc<dyn Messages>, peers: Arc<Peers>, cpu_bound_slots: u32) -> Arc<Self> {
        Arc::new(Self {
            messages,
            peers,
            cpu_bound_slots,
            state: Mutex::default(),
            acknowledged: watch::Sender::new(()),
        })
    }

    /// Requests a lease for a slot of a class from a coordinator. Returns `None` if it grants none, or does not answer.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        coordinator: NodeId,
        class: SlotClass,
        reserved_from: Option<BTreeSet<ShareGroup>>,
    ) -> Option<Granted> {
        let (answer, granted) = oneshot::channel();
        {
            let mut state = self.state();
            let wanted = state.links.get(&coordinator).map_or(0, |link| link.wants.len());
            if state.of(coordinator).count() + wanted >= MAX_HELD {
                return None;
            }
            let link = self.link(&mut state, coordinator);
            link.wants.push((reserved_from, (class, answer)));
            link.wake.notify_one();
        }
        let mut claim = Claim { remote: self, granted };
        (&mut claim.granted).await.ok()
    }

    /// Shortens a lease. Returns `false` if it is not held from another coordinator.
    pub(crate) fn shrink(&self, lease: LeaseId, end: Position) -> bool {
        let mut state = self.state();
        let State { held, links, .. } = &mut *state;
        let Some(held) = held.get_mut(&lease) else { return false };
        held.lease.end = held.lease.end.min(end);
        held.is_shrunk = true;
        wake(links, held.coordinator);
        true
    }

    /// Releases a lease. The release is resent until the coordinator has acknowledged it. Returns `false` if it is not held from another
    /// coordinator.
    pub(crate) fn release(&self, lease: LeaseId, release: Release) -> bool {
        let mut state = self.state();
        let State { held, links, .. } = &mut *state;
        let Some(entry) = held.get_mut(&lease) else { return false };
        let coordinator = entry.coordinator;
        match coordinator {
            Some(_) => entry.released = Some((release, Instant::now())),
            // The lease was lost.
            None => drop(held.remove(&lease)),
        }
        wake(links, coordinator);
        true
    }

    /// Moves the leases of a lap to a new coordinator, and returns them. From now on they are confirmed and released to that node.
    pub(crate) fn move_to(self: &Arc<Self>, lap: LapId, coordinator: NodeId) -> Vec<Lease> {
        let mut state = self.state();
        let of_lap = state.held.values_mut().filter(|held| held.lease.lap == lap);
        let leases: Vec<Lease> = of_lap
            .map(|held| {
                held.coordinator = Some(coordinator);
                held.lease.clone()
            })
            .collect();
        if !leases.is_empty() {
            let link = self.link(&mut state, coordinator);
            link.confirm_at = Instant::now();
            link.wake.notify_one();
        }
        leases
    }

    /// Removes and returns the leases of a lap that this node coordinates itself now, with their results if they were released.
    pub(crate) fn take(&self, lap: LapId) -> Vec<(Lease, Option<Release>)> {
        let mut state = self.state();
        let taken = state.held.extract_if(.., |_, held| held.lease.lap == lap);
        taken
            .map(|(_, held)| {
                held.validity.renew(Instant::now() + CONFIRMED_TIME);
                (held.lease, held.released.map(|(release, _)| release))
            })
            .collect()
    }

    /// Adds leases of this node's own workers, of a lap that this node no longer coordinates.
    pub(crate) fn keep_running(&self, leases: Vec<Lease>, validity: &Arc<Validity>) {
        let mut state = self.state();
        for lease in leases {
            let validity = Arc::clone(validity);
            let held = Held { coordinator: None, validity, is_shrunk: false, released: None, lease };
            state.held.insert(held.lease.id, held);
        }
    }

    /// Stops exchanges with lost nodes from which no leases are held. Unacknowledged releases to such nodes are dropped after a while: a
    /// new coordinator would have asked for them.
    pub(crate) fn forget_lost(&self) {
        let known = self.peers.ids();
        let mut state = self.state();
        let State { held, links, .. } = &mut *state;
        held.retain(|_, held| {
            let is_old = held.released.as_ref().is_some_and(|(_, at)| at.elapsed() > LEASE_TTL);
            !(is_old && held.coordinator.is_some_and(|id| !known.contains(&id)))
        });
        links.retain(|id, link| {
            let is_needed = !link.wants.is_empty() || held.values().any(|held| held.coordinator == Some(*id));
            is_needed || known.contains(id)
        });
    }

    /// Waits until every release has been acknowledged.
    pub(crate) async fn flush(&self) {
        let mut acknowledged = self.acknowledged.subscribe();
        while self.state().held.values().any(|held| held.released.is_some()) {
            if acknowledged.changed().await.is_err() {
                return;
            }
        }
    }

    fn link<'a>(self: &Arc<Self>, state: &'a mut State, coordinator: NodeId) -> &'a mut Link {
        state.links.entry(coordinator).or_insert_with(|| {
            let wake = Arc::new(Notify::new());
            let exchanges = tokio::spawn(Arc::clone(self).exchange_with(coordinator, Arc::clone(&wake)));
            Link {
                wake,
                wants: Vec::new(),
                confirm_at: Instant::now() + CONFIRM_INTERVAL,
                has_failed: false,
                _exchanges: AbortOnDropHandle::new(exchanges),
            }
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A claim that is waited for. A lease that arrives when nobody waits any more is given back.
struct Claim<'a> {
    remote: &'a Remote,
    granted: oneshot::Receiver<Granted>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.granted.close();
        if let Ok(Granted { lease, .. }) = self.granted.try_recv() {
            self.remote.release(lease.id, Release::untouched(&lease));
        }
    }
}

impl State {
    /// The leases that are held from a coordinator.
    pub(super) fn of(&self, coordinator: NodeId) -> impl Iterator<Item = &Held> {
        self.held.values().filter(move |held| held.coordinator == Some(coordinator))
    }
}

fn wake(links: &BTreeMap<NodeId, Link>, coordinator: Option<NodeId>) {
    if let Some(link) = coordinator.and_then(|id| links.get(&id)) {
        link.wake.notify_one();
    }
}

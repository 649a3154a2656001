//! Leases that this node holds from other coordinators.
//!
//! All data for one coordinator is sent in one exchange at a time: releases, requests, and every few seconds the list of held leases. An
//! exchange without a reply is retried.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quilt::{Position, ShareGroup};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::ask::ask;
use super::interface::Messages;
use super::messages::{Exchange, Reply, Request, Want};
use super::peers::Peers;
use crate::dispatch::{Granted, LEASE_TTL, LapId, Lease, LeaseId, NodeId, Release, Validity};
use crate::slots::{SlotClass, Slots};

/// How often held leases are confirmed.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(LEASE_TTL.as_secs() / 3);

/// How long a lease is valid after it was granted or confirmed. It is shorter than the time after which the coordinator grants it again.
const CONFIRMED_TIME: Duration = Duration::from_secs(LEASE_TTL.as_secs() * 2 / 3);

/// The pause after an exchange without a reply.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The maximum number of leases from one coordinator, so that a list of them fits into a message.
const MAX_HELD: usize = 4_000;

/// The leases from other coordinators, and the exchanges with them.
pub(crate) struct Remote {
    messages: Arc<dyn Messages>,
    peers: Arc<Peers>,
    cpu_bound_slots: u32,
    state: Mutex<State>,
    /// Notified when a coordinator has acknowledged releases.
    acknowledged: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    held: BTreeMap<LeaseId, Held>,
    links: BTreeMap<NodeId, Link>,
    /// Counts the exchanges with all coordinators.
    exchanges: u64,
}

struct Held {
    lease: Lease,
    /// The coordinator to which it is confirmed and released. `None` if no coordinator of the lap is known.
    coordinator: Option<NodeId>,
    validity: Arc<Validity>,
    /// Whether it was shortened, and the coordinator may not know it.
    is_shrunk: bool,
    /// The result, and when the worker released it.
    released: Option<(Release, Instant)>,
}

struct Link {
    wake: Arc<Notify>,
    wants: Vec<(Option<BTreeSet<ShareGroup>>, Answer)>,
    confirm_at: Instant,
    /// Whether the last exchange had no reply. This node does not know which leases it was granted then.
    has_failed: bool,
    _exchanges: AbortOnDropHandle<()>,
}

/// The channel for a requested lease.
type Answer = (SlotClass, oneshot::Sender<Granted>);

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

    /// Runs the exchanges with one coordinator, one after another.
    async fn exchange_with(self: Arc<Self>, coordinator: NodeId, wake: Arc<Notify>) {
        loop {
            let Some((exchange, answers)) = self.compose(coordinator) else {
                let confirm_at = self.confirm_at(coordinator);
                tokio::select! {
                    biased;
                    () = wake.notified() => {}
                    () = sleep_until(confirm_at) => {}
                }
                continue;
            };
            let sent = Instant::now();
            match ask(&*self.messages, coordinator, &Request::Exchange(exchange.clone())).await {
                Some(Reply::Granted { leases, lost, ready }) => {
                    self.peers.set_ready(coordinator, ready);
                    self.acknowledge(coordinator, &exchange, &lost, sent);
                    self.deliver(coordinator, leases, answers, sent);
                    self.acknowledged.send_replace(());
                }
                _ => {
                    // The next status of the coordinator says whether it has work.
                    self.peers.set_ready(coordinator, Slots::default());
                    drop(answers);
                    if let Some(link) = self.state().links.get_mut(&coordinator) {
                        link.has_failed = true;
                    }
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    fn confirm_at(&self, coordinator: NodeId) -> Instant {
        let state = self.state();
        let is_holding = state.of(coordinator).next().is_some();
        let at = state.links.get(&coordinator).map(|link| link.confirm_at).filter(|_| is_holding);
        at.unwrap_or_else(|| Instant::now() + CONFIRM_INTERVAL)
    }

    /// The next exchange with a coordinator, and the channels for its leases. `None` if there is nothing to send.
    fn compose(&self, coordinator: NodeId) -> Option<(Exchange, Vec<Answer>)> {
        let mut state = self.state();
        let State { held, links, exchanges } = &mut *state;
        let link = links.get_mut(&coordinator)?;
        let ours = || held.values().filter(|held| held.coordinator == Some(coordinator));
        let released =
            ours().filter_map(|held| Some((held.lease.lap, held.lease.id, held.released.as_ref()?.0.clone())));
        let shrunk = ours().filter(|held| held.is_shrunk && held.released.is_none());
        let running = ours().filter(|held| held.released.is_none()).map(|held| held.lease.clone());
        let is_due = link.has_failed || (link.confirm_at <= Instant::now() && ours().next().is_some());
        let mut wants: Vec<Want> = Vec::new();
        let mut answers = Vec::new();
        // Some were given up meanwhile.
        let wanted = link.wants.drain(..).filter(|(_, (_, answer))| !answer.is_closed());
        for (reserved_from, answer) in wanted {
            let class = answer.0;
            match wants.last_mut().filter(|want| want.class == class && want.reserved_from == reserved_from) {
                Some(want) => want.slots += 1,
                None => wants.push(Want { slots: 1, class, reserved_from }),
            }
            answers.push(answer);
        }
        let exchange = Exchange {
            from: self.messages.id(),
            number: *exchanges,
            released: released.collect(),
            shrunk: shrunk.map(|held| (held.lease.lap, held.lease.id, held.lease.end)).collect(),
            held: is_due.then(|| running.collect()),
            wants,
            cpu_bound_slots: self.cpu_bound_slots,
        };
        let is_empty = exchange.released.is_empty()
            && exchange.shrunk.is_empty()
            && exchange.held.is_none()
            && exchange.wants.is_empty();
        if is_empty {
            return None;
        }
        *exchanges += 1;
        Some((exchange, answers))
    }

    /// Updates leases after a coordinator has replied.
    fn acknowledge(&self, coordinator: NodeId, exchange: &Exchange, lost: &[LeaseId], sent: Instant) {
        let mut state = self.state();
        for (_, lease, _) in &exchange.released {
            // The lease may have moved to another coordinator, which must receive the release as well.
            if state.held.get(lease).is_some_and(|held| held.coordinator == Some(coordinator)) {
                state.held.remove(lease);
            }
        }
        for (_, lease, end) in &exchange.shrunk {
            if let Some(held) = state.held.get_mut(lease) {
                held.is_shrunk = held.lease.end != *end;
            }
        }
        let Some(confirmed) = &exchange.held else { return };
        if let Some(link) = state.links.get_mut(&coordinator) {
            link.confirm_at = sent + CONFIRM_INTERVAL;
            link.has_failed = false;
        }
        for lease in confirmed {
            let Some(held) = state.held.get_mut(&lease.id).filter(|held| held.coordinator == Some(coordinator)) else {
                continue;
            };
            if lost.contains(&lease.id) {
                tracing::warn!(batch = %lease.lap.batch, "a lease is lost: its lap is over, or another worker has it");
                held.validity.lose();
                held.coordinator = None;
                if held.released.is_some() {
                    state.held.remove(&lease.id);
                }
            } else {
                held.validity.renew(sent + CONFIRMED_TIME);
            }
        }
    }

    /// Delivers granted leases to the workers that requested them. A lease without a waiting worker, or with positions that still run here,
    /// is released.
    fn deliver(
        &self,
        coordinator: NodeId,
        leases: Vec<(SlotClass, ShareGroup, Lease)>,
        mut answers: Vec<Answer>,
        sent: Instant,
    ) {
        answers.retain(|(_, answer)| !answer.is_closed());
        for (class, group, lease) in leases {
            let validity = Arc::new(Validity::until(sent + CONFIRMED_TIME));
            let is_running = self.enter(coordinator, &lease, &validity);
            let untouched = Release::untouched(&lease);
            let id = lease.id;
            let granted = Granted { lease, group, validity };
            let place = answers.iter().position(|(of, _)| !is_running && *of == class);
            let answer = place.map(|place| answers.swap_remove(place));
            if answer.is_none_or(|(_, answer)| answer.send(granted).is_err()) {
                self.release(id, untouched);
            }
        }
    }

    /// Adds a granted lease. Returns whether a worker of this node still runs some of its positions. In that case the coordinator does not
    /// know the older lease, which is confirmed to it in the next exchange.
    fn enter(&self, coordinator: NodeId, lease: &Lease, validity: &Arc<Validity>) -> bool {
        let mut state = self.state();
        let mut is_running = false;
        for held in state.held.values_mut().filter(|held| held.released.is_none() && held.lease.lap == lease.lap) {
            if held.lease.first < lease.end && lease.first < held.lease.end {
                held.coordinator = Some(coordinator);
                is_running = true;
            }
        }
        let held = Held {
            lease: lease.clone(),
            coordinator: Some(coordinator),
            validity: Arc::clone(validity),
            is_shrunk: false,
            released: None,
        };
        state.held.insert(lease.id, held);
        if is_running && let Some(link) = state.links.get_mut(&coordinator) {
            link.confirm_at = Instant::now();
        }
        is_running
    }

    fn state(&self) -> MutexGuard<'_, State> {
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
    fn of(&self, coordinator: NodeId) -> impl Iterator<Item = &Held> {
        self.held.values().filter(move |held| held.coordinator == Some(coordinator))
    }
}

fn wake(links: &BTreeMap<NodeId, Link>, coordinator: Option<NodeId>) {
    if let Some(link) = coordinator.and_then(|id| links.get(&id)) {
        link.wake.notify_one();
    }
}

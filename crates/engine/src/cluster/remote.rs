//! Leases that other nodes have granted to this one.
//!
//! All that goes to one coordinator at a time goes in one exchange: what is released, what is asked for, and every few seconds the list of
//! what is held. An exchange without a reply is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quilt::{OwnerId, Position};
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

/// For how long a lease holds after it was granted or confirmed: less than the coordinator waits before it grants it again.
const CONFIRMED_TIME: Duration = Duration::from_secs(LEASE_TTL.as_secs() * 2 / 3);

/// The pause after an exchange without a reply.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The most leases that are held of one coordinator, so that a list of them fits into a message.
const MAX_HELD: usize = 4_000;

/// The leases of other coordinators, and the exchanges with them.
pub(crate) struct Remote {
    messages: Arc<dyn Messages>,
    peers: Arc<Peers>,
    cpu_bound_slots: u32,
    state: Mutex<State>,
    /// Changes when releases were acknowledged.
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
    /// The node that it is confirmed and released to; `None` while the lap has no coordinator that is known.
    coordinator: Option<NodeId>,
    validity: Arc<Validity>,
    /// Whether its end has changed, and the coordinator may not know.
    is_shrunk: bool,
    /// What became of it, once the worker has given it back, and when that was.
    released: Option<(Release, Instant)>,
}

struct Link {
    wake: Arc<Notify>,
    wants: Vec<(Option<BTreeSet<OwnerId>>, Answer)>,
    confirm_at: Instant,
    /// Whether there was no reply to the last exchange: what it granted is unknown here.
    has_failed: bool,
    _exchanges: AbortOnDropHandle<()>,
}

/// Where a lease goes to that somebody waits for.
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

    /// Asks a coordinator for a chunk for a slot of a class. `None` if it has none for this node, or does not answer.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        coordinator: NodeId,
        class: SlotClass,
        reserved_from: Option<BTreeSet<OwnerId>>,
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
        granted.await.ok()
    }

    /// Gives the tail of a lease back, from a position on. `false` if it is no lease of another node.
    pub(crate) fn shrink(&self, lease: LeaseId, end: Position) -> bool {
        let mut state = self.state();
        let State { held, links, .. } = &mut *state;
        let Some(held) = held.get_mut(&lease) else { return false };
        held.lease.end = held.lease.end.min(end);
        held.is_shrunk = true;
        wake(links, held.coordinator);
        true
    }

    /// Gives a lease back. Its coordinator is told until it has acknowledged that. `false` if it is no lease of another node.
    pub(crate) fn release(&self, lease: LeaseId, release: Release) -> bool {
        let mut state = self.state();
        let State { held, links, .. } = &mut *state;
        let Some(entry) = held.get_mut(&lease) else { return false };
        let coordinator = entry.coordinator;
        match coordinator {
            Some(_) => entry.released = Some((release, Instant::now())),
            // It was lost.
            None => drop(held.remove(&lease)),
        }
        wake(links, coordinator);
        true
    }

    /// The leases of a lap that this node's workers hold, for its new coordinator: from now on they are confirmed and released to that node.
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

    /// Takes a lap's leases out, because this node coordinates the lap itself now, with what has been released of them.
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

    /// Enters leases that this node has granted to its own workers and does not coordinate any more.
    pub(crate) fn keep_running(&self, leases: Vec<Lease>, validity: &Arc<Validity>) {
        let mut state = self.state();
        for lease in leases {
            let validity = Arc::clone(validity);
            let held = Held { coordinator: None, validity, is_shrunk: false, released: None, lease };
            state.held.insert(held.lease.id, held);
        }
    }

    /// Ends the exchanges with nodes that are lost and of which nothing is held. What was released to one that does not come back is forgotten:
    /// its successor would have asked for it.
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

    /// Exchanges with one coordinator, one exchange after the other.
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
                    // Its next status says whether it has work.
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

    /// The next exchange with a coordinator, if there is anything to be said, and who waits for leases.
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
        for (reserved_from, answer) in link.wants.drain(..) {
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

    /// Takes note of what a coordinator knows now.
    fn acknowledge(&self, coordinator: NodeId, exchange: &Exchange, lost: &[LeaseId], sent: Instant) {
        let mut state = self.state();
        for (_, lease, _) in &exchange.released {
            // It may have gone to another coordinator meanwhile, which has to be told as well.
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

    /// Hands leases to those who wait for them. One that nobody waits for any more, or whose positions still run here, goes back.
    fn deliver(
        &self,
        coordinator: NodeId,
        leases: Vec<(SlotClass, OwnerId, Lease)>,
        mut answers: Vec<Answer>,
        sent: Instant,
    ) {
        answers.retain(|(_, answer)| !answer.is_closed());
        for (class, owner, lease) in leases {
            let validity = Arc::new(Validity::until(sent + CONFIRMED_TIME));
            let is_running = self.enter(coordinator, &lease, &validity);
            let untouched = Release::untouched(&lease);
            let id = lease.id;
            let granted = Granted { lease, owner, validity };
            let place = answers.iter().position(|(of, _)| !is_running && *of == class);
            let answer = place.map(|place| answers.swap_remove(place));
            if answer.is_none_or(|(_, answer)| answer.send(granted).is_err()) {
                self.release(id, untouched);
            }
        }
    }

    /// Enters a lease that was granted. Returns whether a worker of this node still runs some of its positions: then the coordinator has not
    /// been told of that lease, and is.
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

impl State {
    /// What is held of a coordinator.
    fn of(&self, coordinator: NodeId) -> impl Iterator<Item = &Held> {
        self.held.values().filter(move |held| held.coordinator == Some(coordinator))
    }
}

fn wake(links: &BTreeMap<NodeId, Link>, coordinator: Option<NodeId>) {
    if let Some(link) = coordinator.and_then(|id| links.get(&id)) {
        link.wake.notify_one();
    }
}

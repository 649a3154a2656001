//! The exchanges of a node with the coordinators from which it holds leases.
//!
//! All data for one coordinator is sent in one exchange at a time: releases, requests, and every few seconds the list of held leases. An
//! exchange without a reply is retried.

use std::sync::Arc;
use std::time::Duration;

use quilt::ShareGroup;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::ask::ask;
use super::messages::{Exchange, Reply, Request, Want};
use super::remote::{Answer, CONFIRM_INTERVAL, CONFIRMED_TIME, Held, Remote, State};
use crate::dispatch::{Granted, Lease, LeaseId, NodeId, Release, Validity};
use crate::slots::{SlotClass, Slots};

/// The pause after an exchange without a reply.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

impl Remote {
    /// Runs the exchanges with one coordinator, one after another.
    pub(super) async fn exchange_with(self: Arc<Self>, coordinator: NodeId, wake: Arc<Notify>) {
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
}

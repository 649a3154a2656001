//! The order in which the dispatchers of a node are served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quilt::OwnerId;
use tokio::time::Instant;

use super::adoption::Adoption;
use super::asker::{Asker, Contact, Holder};
use super::dispatcher::Dispatcher;
use super::fair::FairOrder;
use super::lease::{LapId, Lease, Release};
use super::running_log::RunningLog;
use super::validity::Validity;
use crate::lease_id::LeaseId;
use crate::slots::{BySlotClass, SlotClass, Slots};

/// The dispatchers of a node. Only dispatchers with work to grant are in the order of their class.
#[derive(Default)]
pub(super) struct Schedule {
    pub(super) dispatchers: BTreeMap<LapId, Dispatcher>,
    orders: BySlotClass<ClassOrder>,
    /// When the readiness of laps may change without an event.
    wakes: BTreeSet<(Instant, LapId)>,
    /// The same times by lap.
    wake_of: BTreeMap<LapId, Instant>,
    pub(super) log: RunningLog,
}

/// A lease and its validity.
pub(crate) struct Granted {
    pub(crate) lease: Lease,
    pub(crate) owner: OwnerId,
    pub(crate) validity: Arc<Validity>,
}

impl Schedule {
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Refreshes laps whose wake time has come.
    pub(super) fn promote(&mut self, now: Instant) {
        while let Some((_, lap)) = self.wakes.first().copied().filter(|(at, _)| *at <= now) {
            self.refresh(lap, now);
        }
    }

    /// Adds a lap to the order or removes it, and sets its wake time.
    pub(super) fn refresh(&mut self, lap: LapId, now: Instant) {
        if let Some(at) = self.wake_of.remove(&lap) {
            self.wakes.remove(&(at, lap));
        }
        let Some(dispatcher) = self.dispatchers.get_mut(&lap) else { return };
        let readiness = dispatcher.readiness(now);
        if let Some(at) = readiness.wake {
            self.wake_of.insert(lap, at);
            self.wakes.insert((at, lap));
        }
        let weight = readiness.is_ready.then(|| dispatcher.priority.weight());
        self.orders[dispatcher.class].set_ready(dispatcher.of.owner, lap, weight);
    }

    /// The number of owners with ready work, by slot class.
    pub(super) fn ready(&self) -> Slots {
        BySlotClass::from_fn(|class| self.orders[class].owners.ready() as u32)
    }

    pub(super) fn claim(&mut self, asker: &Asker, now: Instant) -> Option<Granted> {
        loop {
            let Self { dispatchers, orders, log, .. } = self;
            let suspects = match dispatchers.values().any(Dispatcher::has_suspects) {
                true => dispatchers.values().map(|dispatcher| dispatcher.suspects_of(asker.holder())).sum(),
                false => 0,
            };
            let can_serve =
                |lap: &LapId| dispatchers.get(lap).is_some_and(|dispatcher| dispatcher.can_serve(asker, suspects));
            let order = &mut orders[asker.class];
            let lap = order.first(can_serve)?;
            let dispatcher = dispatchers.get_mut(&lap)?;
            let (owner, validity) = (dispatcher.of.owner, Arc::clone(&dispatcher.of.validity));
            let lease = dispatcher.claim(asker, suspects, now);
            if let Some(lease) = &lease {
                order.pick(owner, lap, dispatcher.expected(lease));
                if asker.holder() == Holder::Here {
                    log.start(lease.id, dispatcher);
                }
            }
            // If no lease was granted, the dispatcher has no work left and is not considered again.
            self.refresh(lap, now);
            if let Some(lease) = lease {
                return Some(Granted { lease, owner, validity });
            }
        }
    }

    /// Adds or confirms a lease that an earlier coordinator granted.
    pub(super) fn adopt(&mut self, lease: &Lease, contact: Contact, now: Instant) -> Adoption {
        let Some(dispatcher) = self.dispatchers.get_mut(&lease.lap) else { return Adoption::Refused };
        let adoption = dispatcher.adopt(lease, contact, now);
        if adoption == Adoption::New {
            self.orders[dispatcher.class].pick(dispatcher.of.owner, lease.lap, 0);
        }
        self.refresh(lease.lap, now);
        adoption
    }

    /// Ends a lease. Returns whether its lap has a dispatcher.
    pub(super) fn release(
        &mut self,
        lap: LapId,
        lease: LeaseId,
        holder: Holder,
        release: Release,
        now: Instant,
    ) -> bool {
        if let Some(class) = release.class {
            self.move_to(lap, class);
        }
        self.end_lease(lap, lease, now, |dispatcher| dispatcher.release(lease, holder, release, now))
    }

    /// Ends a lease with a given function. Returns whether its lap has a dispatcher.
    pub(super) fn end_lease(
        &mut self,
        lap: LapId,
        lease: LeaseId,
        now: Instant,
        end: impl FnOnce(&mut Dispatcher) -> Option<i128>,
    ) -> bool {
        let Some(dispatcher) = self.dispatchers.get_mut(&lap) else { return false };
        if let Some(nanos) = end(dispatcher) {
            self.orders[dispatcher.class].settle(dispatcher.of.owner, lap, nanos);
            self.log.end(lap, lease);
            self.refresh(lap, now);
        }
        true
    }

    /// Changes the slot class of a lap.
    fn move_to(&mut self, lap: LapId, class: SlotClass) {
        let Some(dispatcher) = self.dispatchers.get_mut(&lap) else { return };
        let before = std::mem::replace(&mut dispatcher.class, class);
        if before != class {
            self.orders[before].remove(dispatcher.of.owner, lap);
        }
    }

    /// Charges owners for the working time since the last call.
    pub(super) fn accrue(&mut self, now: Instant) {
        for (lap, dispatcher) in &mut self.dispatchers {
            let nanos = dispatcher.accrue(now);
            if nanos > 0 {
                self.orders[dispatcher.class].charge(dispatcher.of.owner, *lap, nanos);
            }
        }
    }

    /// Closes the dispatcher of a lap. Returns the leases of this node's own workers, if the lap was open.
    pub(super) fn close(&mut self, lap: LapId, now: Instant) -> Option<(Vec<Lease>, Arc<Validity>)> {
        if let Some(at) = self.wake_of.remove(&lap) {
            self.wakes.remove(&(at, lap));
        }
        let mut dispatcher = self.dispatchers.remove(&lap)?;
        let held = dispatcher.held_here();
        let order = &mut self.orders[dispatcher.class];
        let ids: Vec<LeaseId> = dispatcher.leases().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(nanos) = dispatcher.reclaim(id, now) {
                order.settle(dispatcher.of.owner, lap, nanos);
                self.log.end(lap, id);
            }
        }
        self.log.end_waiting(lap);
        order.remove(dispatcher.of.owner, lap);
        Some((held, dispatcher.of.validity))
    }
}

/// The owners that share the slots of one class, and their laps.
#[derive(Default)]
struct ClassOrder {
    owners: FairOrder<OwnerId>,
    laps: BTreeMap<OwnerId, FairOrder<LapId>>,
}

impl ClassOrder {
    /// The first lap in the order for which `can_serve` is true.
    fn first(&self, can_serve: impl Fn(&LapId) -> bool) -> Option<LapId> {
        self.owners.in_order().find_map(|owner| self.laps.get(&owner)?.in_order().find(&can_serve))
    }

    /// Adds a lap with a weight to the order, or removes it. Its share is kept.
    fn set_ready(&mut self, owner: OwnerId, lap: LapId, weight: Option<u32>) {
        let laps = self.laps.entry(owner).or_default();
        match weight {
            Some(weight) => laps.set_ready(lap, weight),
            None => laps.set_idle(lap),
        }
        match laps.largest_weight() {
            Some(weight) => self.owners.set_ready(owner, weight),
            None => self.owners.set_idle(owner),
        }
    }

    /// Charges the expected working time of a lease that was granted.
    fn pick(&mut self, owner: OwnerId, lap: LapId, expected: i128) {
        self.owners.pick(owner, expected);
        if let Some(laps) = self.laps.get_mut(&owner) {
            laps.pick(lap, expected);
        }
    }

    /// Charges running work.
    fn charge(&mut self, owner: OwnerId, lap: LapId, nanos: i128) {
        self.owners.charge(owner, nanos);
        if let Some(laps) = self.laps.get_mut(&owner) {
            laps.charge(lap, nanos);
        }
    }

    /// Settles the charge of work that has ended.
    fn settle(&mut self, owner: OwnerId, lap: LapId, nanos: i128) {
        self.owners.settle(owner, nanos);
        if let Some(laps) = self.laps.get_mut(&owner) {
            laps.settle(lap, nanos);
        }
    }

    /// Removes a lap, and its owner with its last lap. Owners with a higher charge than a new one would get are kept.
    fn remove(&mut self, owner: OwnerId, lap: LapId) {
        if let Some(laps) = self.laps.get_mut(&owner) {
            laps.remove(lap);
            match laps.largest_weight() {
                None => self.owners.set_idle(owner),
                Some(weight) => self.owners.set_ready(owner, weight),
            }
            if laps.is_empty() {
                self.laps.remove(&owner);
            }
        }
        let laps = &self.laps;
        self.owners.forget(|owner| !laps.contains_key(owner));
    }
}

//! The order in which the dispatchers of a node are served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quilt::ShareGroup;
use tokio::time::Instant;

use super::adoption::Adoption;
use super::asker::{Asker, Contact, Holder};
use super::class_order::ClassOrder;
use super::dispatcher::Dispatcher;
use super::lease::{LapId, Lease, Release};
use super::lease_end::Ended;
use super::running_log::RunningLog;
use super::validity::Validity;
use crate::lease_id::LeaseId;
use crate::slots::{BySlotClass, SlotClass, Slots};

/// The dispatchers of a node. Only dispatchers with work to grant are in the order of their class.
#[derive(Default)]
pub(super) struct Schedule {
    pub(super) dispatchers: BTreeMap<LapId, Dispatcher>,
    /// The laps with suspects, whether they wait or run.
    suspected: BTreeSet<LapId>,
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
    pub(crate) group: ShareGroup,
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
        if dispatcher.has_waiting_suspects() {
            self.suspected.insert(lap);
        } else if self.suspected.contains(&lap) && !dispatcher.is_running_suspects() {
            self.suspected.remove(&lap);
        }
        let readiness = dispatcher.readiness(now);
        if let Some(at) = readiness.wake {
            self.wake_of.insert(lap, at);
            self.wakes.insert((at, lap));
        }
        let weight = readiness.is_ready.then(|| dispatcher.priority.weight());
        let (path, needs) = (dispatcher.of.path, dispatcher.class);
        for class in SlotClass::ALL {
            // Until the class is known, slots of any class may be the right ones.
            match needs.is_none_or(|needs| needs == class) {
                true => self.orders[class].set_ready(path, weight),
                false => self.orders[class].set_idle(path),
            }
        }
    }

    /// The number of groups with ready work, by slot class.
    pub(super) fn ready(&self) -> Slots {
        BySlotClass::from_fn(|class| self.orders[class].ready() as u32)
    }

    pub(super) fn claim(&mut self, asker: &Asker, now: Instant) -> Option<Granted> {
        loop {
            let Self { dispatchers, suspected, orders, log, .. } = self;
            let suspects_of = |lap| dispatchers.get(lap).map(|dispatcher| dispatcher.suspects_of(asker.holder()));
            let suspects = suspected.iter().filter_map(suspects_of).sum();
            let can_serve =
                |lap: &LapId| dispatchers.get(lap).is_some_and(|dispatcher| dispatcher.can_serve(asker, suspects));
            let order = &mut orders[asker.class];
            let lap = order.first(can_serve)?;
            let dispatcher = dispatchers.get_mut(&lap)?;
            let (path, validity) = (dispatcher.of.path, Arc::clone(&dispatcher.of.validity));
            let lease = dispatcher.claim(asker, suspects, now);
            if let Some(lease) = &lease {
                let pick = order.pick(asker.class, path, dispatcher.expected(lease));
                dispatcher.set_pick(lease.id, pick);
                if asker.holder() == Holder::Here {
                    log.start(lease.id, dispatcher);
                }
            }
            // If no lease was granted, the dispatcher has no work left and is not considered again.
            self.refresh(lap, now);
            if let Some(lease) = lease {
                return Some(Granted { lease, group: path.group, validity });
            }
        }
    }

    /// Adds or confirms a lease that an earlier coordinator granted.
    pub(super) fn adopt(&mut self, lease: &Lease, contact: Contact, now: Instant) -> Adoption {
        let Some(dispatcher) = self.dispatchers.get_mut(&lease.lap) else { return Adoption::Refused };
        let adoption = dispatcher.adopt(lease, contact, now);
        if adoption == Adoption::New {
            // It may be for a slot of another class, if this one is not known. Its time is charged all the same.
            let class = dispatcher.class.unwrap_or(SlotClass::Async);
            let order = &mut self.orders[class];
            // It is charged with its weight, although the lap is not ready yet.
            order.set_ready(dispatcher.of.path, Some(dispatcher.priority.weight()));
            let pick = order.pick(class, dispatcher.of.path, 0);
            dispatcher.set_pick(lease.id, pick);
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
        self.end_lease(lap, lease, now, |dispatcher| dispatcher.release(lease, holder, release, now))
    }

    /// Ends a lease with a given function. Returns whether its lap has a dispatcher.
    pub(super) fn end_lease(
        &mut self,
        lap: LapId,
        lease: LeaseId,
        now: Instant,
        end: impl FnOnce(&mut Dispatcher) -> Option<Ended>,
    ) -> bool {
        let Some(dispatcher) = self.dispatchers.get_mut(&lap) else { return false };
        if let Some(Ended { pick, nanos }) = end(dispatcher) {
            self.orders[pick.class].settle(dispatcher.of.path, pick, nanos);
            self.log.end(lap, lease);
            self.refresh(lap, now);
        }
        true
    }

    /// Charges laps, their owners and groups for the working time since the last call.
    pub(super) fn accrue(&mut self, now: Instant) {
        for dispatcher in self.dispatchers.values_mut() {
            let path = dispatcher.of.path;
            for (pick, nanos) in dispatcher.accrue(now) {
                self.orders[pick.class].charge(path, pick, nanos);
            }
        }
    }

    /// Closes the dispatcher of a lap. Returns the leases of this node's own workers, if the lap was open.
    pub(super) fn close(&mut self, lap: LapId, now: Instant) -> Option<(Vec<Lease>, Arc<Validity>)> {
        if let Some(at) = self.wake_of.remove(&lap) {
            self.wakes.remove(&(at, lap));
        }
        self.suspected.remove(&lap);
        let mut dispatcher = self.dispatchers.remove(&lap)?;
        let held = dispatcher.held_here();
        let path = dispatcher.of.path;
        let ids: Vec<LeaseId> = dispatcher.leases().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(Ended { pick, nanos }) = dispatcher.reclaim(id, now) {
                self.orders[pick.class].settle(path, pick, nanos);
                self.log.end(lap, id);
            }
        }
        self.log.end_waiting(lap);
        for class in SlotClass::ALL {
            self.orders[class].remove(path);
        }
        Some((held, dispatcher.of.validity))
    }
}

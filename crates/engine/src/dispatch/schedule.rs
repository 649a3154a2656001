//! The order in which a node's dispatchers are served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quilt::OwnerId;
use tokio::time::Instant;

use super::adoption::Adoption;
use super::asker::{Asker, Holder};
use super::dispatcher::Dispatcher;
use super::fair::FairOrder;
use super::lease::{LapId, Lease, Release};
use super::running_log::RunningLog;
use super::validity::Validity;
use crate::lease_id::LeaseId;

/// The dispatchers of a node, ordered by owner and lap. Only those that have something to hand out are in the order.
#[derive(Default)]
pub(super) struct Schedule {
    pub(super) dispatchers: BTreeMap<LapId, Dispatcher>,
    pub(super) owners: FairOrder<OwnerId>,
    laps: BTreeMap<OwnerId, FairOrder<LapId>>,
    /// When the readiness of a lap changes by itself.
    wakes: BTreeSet<(Instant, LapId)>,
    /// The same by lap.
    wake_of: BTreeMap<LapId, Instant>,
    pub(super) log: RunningLog,
}

/// A lease, and for how long it holds.
pub(crate) struct Granted {
    pub(crate) lease: Lease,
    pub(crate) owner: OwnerId,
    pub(crate) validity: Arc<Validity>,
}

impl Schedule {
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Looks anew at laps whose time has come.
    pub(super) fn promote(&mut self, now: Instant) {
        while let Some((_, lap)) = self.wakes.first().copied().filter(|(at, _)| *at <= now) {
            self.refresh(lap, now);
        }
    }

    /// Puts a lap into the order, or takes it out, and notes when that may change by itself.
    pub(super) fn refresh(&mut self, lap: LapId, now: Instant) {
        if let Some(at) = self.wake_of.remove(&lap) {
            self.wakes.remove(&(at, lap));
        }
        let Some(dispatcher) = self.dispatchers.get_mut(&lap) else { return };
        let readiness = dispatcher.readiness(now);
        let owner = dispatcher.of.owner;
        if let Some(at) = readiness.wake {
            self.wake_of.insert(lap, at);
            self.wakes.insert((at, lap));
        }
        let laps = self.laps.entry(owner).or_default();
        match readiness.is_ready {
            true => laps.set_ready(lap, 1),
            false => laps.set_idle(lap),
        }
        match laps.ready() {
            0 => self.owners.set_idle(owner),
            _ => self.owners.set_ready(owner, 1),
        }
    }

    pub(super) fn claim(&mut self, asker: &Asker, now: Instant) -> Option<Granted> {
        loop {
            let Self { dispatchers, owners, laps, log, .. } = self;
            let suspects = match dispatchers.values().any(Dispatcher::has_suspects) {
                true => dispatchers.values().map(|dispatcher| dispatcher.suspects_of(asker.holder)).sum(),
                false => 0,
            };
            let can_serve =
                |lap: &LapId| dispatchers.get(lap).is_some_and(|dispatcher| dispatcher.can_serve(asker, suspects));
            let lap = owners.in_order().find_map(|owner| laps.get(&owner)?.in_order().find(can_serve))?;
            let dispatcher = dispatchers.get_mut(&lap)?;
            let (owner, validity) = (dispatcher.of.owner, Arc::clone(&dispatcher.of.validity));
            let lease = dispatcher.claim(asker, suspects, now);
            if let Some(lease) = &lease {
                let expected = dispatcher.expected(lease);
                owners.pick(owner, expected);
                if let Some(laps) = laps.get_mut(&owner) {
                    laps.pick(lap, expected);
                }
                if asker.holder == Holder::Here {
                    log.start(lease.id, dispatcher);
                }
            }
            // Without a lease there is nothing left in it, and it is not looked at again.
            self.refresh(lap, now);
            if let Some(lease) = lease {
                return Some(Granted { lease, owner, validity });
            }
        }
    }

    /// Enters or confirms a lease that an earlier coordinator granted.
    pub(super) fn adopt(&mut self, lease: &Lease, asker: &Asker, now: Instant) -> Adoption {
        let Some(dispatcher) = self.dispatchers.get_mut(&lease.lap) else { return Adoption::Refused };
        let owner = dispatcher.of.owner;
        let adoption = dispatcher.adopt(lease, asker, now);
        if adoption == Adoption::New {
            self.owners.pick(owner, 0);
            if let Some(laps) = self.laps.get_mut(&owner) {
                laps.pick(lease.lap, 0);
            }
        }
        self.refresh(lease.lap, now);
        adoption
    }

    /// Ends a lease. Returns whether there is a dispatcher of its lap.
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

    /// Ends a lease in some way. Returns whether there is a dispatcher of its lap.
    pub(super) fn end_lease(
        &mut self,
        lap: LapId,
        lease: LeaseId,
        now: Instant,
        end: impl FnOnce(&mut Dispatcher) -> Option<i128>,
    ) -> bool {
        let Some(dispatcher) = self.dispatchers.get_mut(&lap) else { return false };
        let owner = dispatcher.of.owner;
        if let Some(nanos) = end(dispatcher) {
            self.log.end(lap, lease);
            self.settle(owner, lap, nanos);
            self.refresh(lap, now);
        }
        true
    }

    /// Charges owners for what has run since the last time.
    pub(super) fn accrue(&mut self, now: Instant) {
        for (lap, dispatcher) in &mut self.dispatchers {
            let nanos = dispatcher.accrue(now);
            if nanos > 0 {
                self.owners.charge(dispatcher.of.owner, nanos);
                if let Some(laps) = self.laps.get_mut(&dispatcher.of.owner) {
                    laps.charge(*lap, nanos);
                }
            }
        }
    }

    /// Charges for a lease that has ended.
    pub(super) fn settle(&mut self, owner: OwnerId, lap: LapId, nanos: i128) {
        self.owners.settle(owner, nanos);
        if let Some(laps) = self.laps.get_mut(&owner) {
            laps.settle(lap, nanos);
        }
    }

    pub(super) fn forget(&mut self, owner: OwnerId, lap: LapId) {
        if let Some(at) = self.wake_of.remove(&lap) {
            self.wakes.remove(&(at, lap));
        }
        if let Some(laps) = self.laps.get_mut(&owner) {
            laps.set_idle(lap);
            laps.forget(|known| !self.dispatchers.contains_key(known));
            if laps.ready() == 0 {
                self.owners.set_idle(owner);
            }
        }
        let dispatchers = &self.dispatchers;
        if !dispatchers.values().any(|other| other.of.owner == owner) {
            self.laps.remove(&owner);
        }
        let laps = &self.laps;
        self.owners.forget(|owner| !laps.contains_key(owner));
    }
}

//! The order of the laps that share the slots of one class.

use std::collections::BTreeMap;

use quilt::OwnerId;

use super::fair::FairOrder;
use super::lease::LapId;
use crate::slots::SlotClass;

/// In which order a lease was charged, and with which weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) class: SlotClass,
    owner_weight: u32,
    lap_weight: u32,
}

impl Pick {
    /// Before it is charged.
    pub(super) fn of(class: SlotClass) -> Self {
        Self { class, owner_weight: 1, lap_weight: 1 }
    }
}

/// The owners that share the slots of one class, and their laps.
#[derive(Default)]
pub(super) struct ClassOrder {
    pub(super) owners: FairOrder<OwnerId>,
    laps: BTreeMap<OwnerId, FairOrder<LapId>>,
}

impl ClassOrder {
    /// The first lap in the order for which `can_serve` is true.
    pub(super) fn first(&self, can_serve: impl Fn(&LapId) -> bool) -> Option<LapId> {
        self.owners.in_order().find_map(|owner| self.laps.get(&owner)?.in_order().find(&can_serve))
    }

    /// Adds a lap with a weight to the order, or removes it. Its share is kept.
    pub(super) fn set_ready(&mut self, owner: OwnerId, lap: LapId, weight: Option<u32>) {
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

    /// Charges the expected working time of a lease for a slot of a class.
    pub(super) fn pick(&mut self, class: SlotClass, owner: OwnerId, lap: LapId, expected: i128) -> Pick {
        let owner_weight = self.owners.pick(owner, expected);
        let lap_weight = self.laps.get_mut(&owner).map_or(1, |laps| laps.pick(lap, expected));
        Pick { class, owner_weight, lap_weight }
    }

    /// Charges running work.
    pub(super) fn charge(&mut self, owner: OwnerId, lap: LapId, pick: Pick, nanos: i128) {
        self.owners.charge(owner, nanos, pick.owner_weight);
        if let Some(laps) = self.laps.get_mut(&owner) {
            laps.charge(lap, nanos, pick.lap_weight);
        }
    }

    /// Settles the charge of work that has ended.
    pub(super) fn settle(&mut self, owner: OwnerId, lap: LapId, pick: Pick, nanos: i128) {
        self.owners.settle(owner, nanos, pick.owner_weight);
        if let Some(laps) = self.laps.get_mut(&owner) {
            laps.settle(lap, nanos, pick.lap_weight);
        }
    }

    /// Takes a lap out of the order that needs slots of another class. What runs of it is still settled here.
    pub(super) fn set_idle(&mut self, owner: OwnerId, lap: LapId) {
        if self.laps.contains_key(&owner) {
            self.set_ready(owner, lap, None);
        }
    }

    /// Removes a lap, and its owner with its last lap. Owners with a higher charge than a new one would get are kept.
    pub(super) fn remove(&mut self, owner: OwnerId, lap: LapId) {
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

//! The order of the laps that share the slots of one class.

use std::collections::BTreeMap;

use quilt::{OwnerId, ShareGroup};

use super::fair::FairOrder;
use super::lease::LapId;
use super::share_path::SharePath;
use crate::slots::SlotClass;

/// In which order a lease was charged, and with which weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) class: SlotClass,
    group_weight: u32,
    owner_weight: u32,
    lap_weight: u32,
}

impl Pick {
    /// Before it is charged.
    pub(super) fn of(class: SlotClass) -> Self {
        Self { class, group_weight: 1, owner_weight: 1, lap_weight: 1 }
    }
}

/// The groups that share the slots of one class.
#[derive(Default)]
pub(super) struct ClassOrder {
    groups: FairOrder<ShareGroup>,
    members: BTreeMap<ShareGroup, GroupOrder>,
}

/// The owners of a group, and their laps.
#[derive(Default)]
struct GroupOrder {
    owners: FairOrder<OwnerId>,
    laps: BTreeMap<OwnerId, FairOrder<LapId>>,
}

impl ClassOrder {
    /// The number of groups with laps that can be picked.
    pub(super) fn ready(&self) -> usize {
        self.groups.ready()
    }

    /// The first lap in the order for which `can_serve` is true.
    pub(super) fn first(&self, can_serve: impl Fn(&LapId) -> bool) -> Option<LapId> {
        self.groups.in_order().find_map(|group| self.members.get(&group)?.first(&can_serve))
    }

    /// Adds a lap with a weight to the order, or removes it. Its share is kept.
    pub(super) fn set_ready(&mut self, SharePath { group, owner, lap }: SharePath, weight: Option<u32>) {
        let members = self.members.entry(group).or_default();
        let laps = members.laps.entry(owner).or_default();
        set_weight(laps, lap, weight);
        set_weight(&mut members.owners, owner, laps.largest_weight());
        set_weight(&mut self.groups, group, members.owners.largest_weight());
    }

    /// Charges the expected working time of a lease for a slot of a class.
    pub(super) fn pick(&mut self, class: SlotClass, path: SharePath, expected: i128) -> Pick {
        let group_weight = self.groups.pick(path.group, expected);
        let members = self.members.get_mut(&path.group);
        let (owner_weight, lap_weight) = members.map_or((1, 1), |members| members.pick(path, expected));
        Pick { class, group_weight, owner_weight, lap_weight }
    }

    /// Charges running work.
    pub(super) fn charge(&mut self, path: SharePath, pick: Pick, nanos: i128) {
        self.groups.charge(path.group, nanos, pick.group_weight);
        if let Some(members) = self.members.get_mut(&path.group) {
            members.charge(path, pick, nanos);
        }
    }

    /// Settles the charge of work that has ended.
    pub(super) fn settle(&mut self, path: SharePath, pick: Pick, nanos: i128) {
        self.groups.settle(path.group, nanos, pick.group_weight);
        if let Some(members) = self.members.get_mut(&path.group) {
            members.settle(path, pick, nanos);
        }
    }

    /// Takes a lap out of the order that needs slots of another class. What runs of it is still settled here.
    pub(super) fn set_idle(&mut self, path: SharePath) {
        if self.members.get(&path.group).is_some_and(|members| members.laps.contains_key(&path.owner)) {
            self.set_ready(path, None);
        }
    }

    /// Removes a lap, and its owner and group with their last laps. Owners and groups with a higher charge than a new one would get are
    /// kept.
    pub(super) fn remove(&mut self, path: SharePath) {
        self.set_idle(path);
        if let Some(members) = self.members.get_mut(&path.group) {
            members.remove(path);
        }
        // Charges of owners are compared within their group alone, so the charge of the group decides for how long its last owner is kept.
        let members = &self.members;
        self.groups.forget(|group| members.get(group).is_none_or(|members| members.laps.is_empty()));
        let groups = &self.groups;
        self.members.retain(|group, _| groups.knows(*group));
    }
}

impl GroupOrder {
    fn first(&self, can_serve: impl Fn(&LapId) -> bool) -> Option<LapId> {
        self.owners.in_order().find_map(|owner| self.laps.get(&owner)?.in_order().find(&can_serve))
    }

    fn pick(&mut self, SharePath { owner, lap, .. }: SharePath, expected: i128) -> (u32, u32) {
        let owner_weight = self.owners.pick(owner, expected);
        (owner_weight, self.laps.get_mut(&owner).map_or(1, |laps| laps.pick(lap, expected)))
    }

    fn charge(&mut self, SharePath { owner, lap, .. }: SharePath, pick: Pick, nanos: i128) {
        self.owners.charge(owner, nanos, pick.owner_weight);
        if let Some(laps) = self.laps.get_mut(&owner) {
            laps.charge(lap, nanos, pick.lap_weight);
        }
    }

    fn settle(&mut self, SharePath { owner, lap, .. }: SharePath, pick: Pick, nanos: i128) {
        self.owners.settle(owner, nanos, pick.owner_weight);
        if let Some(laps) = self.laps.get_mut(&owner) {
            laps.settle(lap, nanos, pick.lap_weight);
        }
    }

    fn remove(&mut self, SharePath { owner, lap, .. }: SharePath) {
        if let Some(laps) = self.laps.get_mut(&owner) {
            laps.remove(lap);
            if laps.is_empty() {
                self.laps.remove(&owner);
            }
        }
        let laps = &self.laps;
        self.owners.forget(|owner| !laps.contains_key(owner));
    }
}

fn set_weight<K: Copy + Ord>(order: &mut FairOrder<K>, key: K, weight: Option<u32>) {
    match weight {
        Some(weight) => order.set_ready(key, weight),
        None => order.set_idle(key),
    }
}

#[cfg(test)]
mod tests {
    use quilt::BatchId;

    use super::*;

    fn path(number: u32) -> SharePath {
        let bytes = u128::from(number).to_be_bytes();
        SharePath::new(None, OwnerId::from_bytes(bytes), LapId { batch: BatchId::from_bytes(bytes), lap: 1 })
    }

    #[test]
    fn owners_whose_laps_are_over_are_forgotten_once_others_have_had_as_much() {
        let mut order = ClassOrder::default();
        let busy = path(0);
        order.set_ready(busy, Some(1));
        for number in 1..=1_000 {
            let path = path(number);
            order.set_ready(path, Some(1));
            for path in [path, busy] {
                let pick = order.pick(SlotClass::Async, path, 10_000_000_000);
                order.settle(path, pick, 0);
            }
            order.remove(path);
        }
        assert!(order.members.len() <= 2, "{} groups are kept", order.members.len());
        assert_eq!(order.members.values().map(|members| members.laps.len()).sum::<usize>(), 1);
        order.remove(busy);
        assert_eq!(order.ready(), 0);
    }
}

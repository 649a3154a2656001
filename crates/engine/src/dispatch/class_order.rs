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
    weights: Weights,
}

/// The weights of a group, an owner and a lap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Weights {
    group: u32,
    owner: u32,
    lap: u32,
}

impl Pick {
    /// Before it is charged.
    pub(super) fn of(class: SlotClass) -> Self {
        Self { class, weights: Weights { group: 1, owner: 1, lap: 1 } }
    }
}

/// The first owner in the order of ids.
const FIRST_OWNER: OwnerId = OwnerId::from_bytes([0; 16]);

/// The groups that share the slots of one class, their owners, and the laps of these.
#[derive(Default)]
pub(super) struct ClassOrder {
    groups: FairOrder<ShareGroup>,
    owners: BTreeMap<ShareGroup, FairOrder<OwnerId>>,
    laps: BTreeMap<(ShareGroup, OwnerId), FairOrder<LapId>>,
}

impl ClassOrder {
    /// The number of groups with laps that can be picked.
    pub(super) fn ready(&self) -> usize {
        self.groups.ready()
    }

    /// The first lap in the order for which `can_serve` is true.
    pub(super) fn first(&self, can_serve: impl Fn(&LapId) -> bool) -> Option<LapId> {
        let first_of_owner = |group, owner| self.laps.get(&(group, owner))?.in_order().find(&can_serve);
        let first_of_group = |group| self.owners.get(&group)?.in_order().find_map(|owner| first_of_owner(group, owner));
        self.groups.in_order().find_map(first_of_group)
    }

    /// Adds a lap with a weight to the order, or removes it. Its share is kept.
    pub(super) fn set_ready(&mut self, SharePath { group, owner, lap }: SharePath, weight: Option<u32>) {
        let laps = self.laps.entry((group, owner)).or_default();
        set(laps, lap, weight);
        let owners = self.owners.entry(group).or_default();
        set(owners, owner, laps.largest_weight());
        set(&mut self.groups, group, owners.largest_weight());
    }

    /// Charges the expected working time of a lease for a slot of a class.
    pub(super) fn pick(&mut self, class: SlotClass, path: SharePath, expected: i128) -> Pick {
        let group = self.groups.pick(path.group, expected);
        let owner = self.owners.get_mut(&path.group).map_or(1, |owners| owners.pick(path.owner, expected));
        let lap = self.laps_of(path).map_or(1, |laps| laps.pick(path.lap, expected));
        Pick { class, weights: Weights { group, owner, lap } }
    }

    /// Charges running work.
    pub(super) fn charge(&mut self, path: SharePath, Pick { weights, .. }: Pick, nanos: i128) {
        self.groups.charge(path.group, nanos, weights.group);
        if let Some(owners) = self.owners.get_mut(&path.group) {
            owners.charge(path.owner, nanos, weights.owner);
        }
        if let Some(laps) = self.laps_of(path) {
            laps.charge(path.lap, nanos, weights.lap);
        }
    }

    /// Settles the charge of work that has ended.
    pub(super) fn settle(&mut self, path: SharePath, Pick { weights, .. }: Pick, nanos: i128) {
        self.groups.settle(path.group, nanos, weights.group);
        if let Some(owners) = self.owners.get_mut(&path.group) {
            owners.settle(path.owner, nanos, weights.owner);
        }
        if let Some(laps) = self.laps_of(path) {
            laps.settle(path.lap, nanos, weights.lap);
        }
    }

    /// Takes a lap out of the order that needs slots of another class. What runs of it is still settled here.
    pub(super) fn set_idle(&mut self, path: SharePath) {
        if self.laps.contains_key(&(path.group, path.owner)) {
            self.set_ready(path, None);
        }
    }

    /// Removes a lap, and its owner and group with their last laps. Owners and groups with a higher charge than a new one would get are
    /// kept.
    pub(super) fn remove(&mut self, path: SharePath) {
        self.set_idle(path);
        if let Some(laps) = self.laps_of(path) {
            laps.remove(path.lap);
            if laps.is_empty() {
                self.laps.remove(&(path.group, path.owner));
            }
        }
        let laps = &self.laps;
        let has_laps = |group: &ShareGroup| {
            let first = laps.range((*group, FIRST_OWNER)..).next();
            first.is_some_and(|((of, _), _)| of == group)
        };
        // Charges of owners are compared within their group alone, so those of the groups decide for how long owners are kept.
        self.groups.forget(|group| !has_laps(group));
        let groups = &self.groups;
        self.owners.retain(|group, owners| {
            owners.forget(|owner| !laps.contains_key(&(*group, *owner)));
            groups.knows(*group)
        });
    }

    fn laps_of(&mut self, path: SharePath) -> Option<&mut FairOrder<LapId>> {
        self.laps.get_mut(&(path.group, path.owner))
    }
}

fn set<K: Copy + Ord>(order: &mut FairOrder<K>, key: K, weight: Option<u32>) {
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
        assert!(order.owners.len() <= 2, "{} owners are kept", order.owners.len());
        assert_eq!(order.laps.len(), 1);
        order.remove(busy);
        assert_eq!(order.ready(), 0);
    }
}

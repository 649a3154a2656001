//! Fair ordering: the key with the least working time comes first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quilt::Priority;

/// The head start of a key that was idle, relative to the least charged key, so that small batches end sooner. It is two seconds of working
/// time for a key with the weight of a normal priority.
const HEAD_START: i128 = 2_000_000_000 / Priority::Normal.weight() as i128;

/// Orders keys by the working time that they were charged. A key that was idle starts with a small head start over the least charged active
/// key. It cannot accumulate more by being idle, and is not penalized for time that no other key wanted.
pub(crate) struct FairOrder<K> {
    shares: BTreeMap<K, Share>,
    /// The keys that can be picked, by charge.
    ready: BTreeSet<(i128, K)>,
    /// The number of keys that can be picked, by weight.
    weights: BTreeMap<u32, usize>,
    /// The keys that are ready or have running work, by charge.
    active: BTreeSet<(i128, K)>,
    /// The charge at which a key starts while no key is active.
    floor: i128,
}

#[derive(Clone, Copy, Default)]
struct Share {
    /// Charged nanoseconds divided by the weight.
    charged: i128,
    weight: u32,
    is_ready: bool,
    /// The number of picks that have not been settled.
    running: u32,
}

impl Share {
    fn is_active(&self) -> bool {
        self.is_ready || self.running > 0
    }
}

impl<K> Default for FairOrder<K> {
    fn default() -> Self {
        Self {
            shares: BTreeMap::new(),
            ready: BTreeSet::new(),
            weights: BTreeMap::new(),
            active: BTreeSet::new(),
            floor: 0,
        }
    }
}

impl<K: Copy + Ord> FairOrder<K> {
    /// Makes a key available. With twice the weight it gets twice the working time.
    pub(crate) fn set_ready(&mut self, key: K, weight: u32) {
        self.shares.entry(key).or_default();
        self.update(key, |share| {
            share.weight = weight.max(1);
            share.is_ready = true;
        });
    }

    /// Makes a key unavailable until it is ready again. Its charge is kept.
    pub(crate) fn set_idle(&mut self, key: K) {
        self.update(key, |share| share.is_ready = false);
    }

    /// Whether the key has a share.
    pub(crate) fn knows(&self, key: K) -> bool {
        self.shares.contains_key(&key)
    }

    /// The number of keys that can be picked.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// The largest weight among the keys that can be picked.
    pub(crate) fn largest_weight(&self) -> Option<u32> {
        self.weights.last_key_value().map(|(weight, _)| *weight)
    }

    /// The keys that can be picked, ordered by working time, lowest first.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = K> + '_ {
        self.ready.iter().map(|(_, key)| *key)
    }

    /// Charges a picked key with the expected nanoseconds of its work. Returns its weight: it may be another one when the work ends, and what
    /// follows has to be divided by the same.
    pub(crate) fn pick(&mut self, key: K, expected: i128) -> u32 {
        let weight = self.shares.get(&key).map_or(1, |share| share.weight.max(1));
        self.update(key, |share| {
            share.running += 1;
            share.charged += expected / i128::from(weight);
        });
        weight
    }

    /// Charges a key with additional nanoseconds for running work, which was picked with a weight. May be negative.
    pub(crate) fn charge(&mut self, key: K, nanos: i128, weight: u32) {
        self.update(key, |share| share.charged += nanos / i128::from(weight.max(1)));
    }

    /// Settles a pick of a key, which took `nanos` more than it was charged.
    pub(crate) fn settle(&mut self, key: K, nanos: i128, weight: u32) {
        self.update(key, |share| {
            share.running = share.running.saturating_sub(1);
            share.charged += nanos / i128::from(weight.max(1));
        });
    }

    /// Removes a key and its share.
    pub(crate) fn remove(&mut self, key: K) {
        self.update(key, |share| {
            share.is_ready = false;
            share.running = 0;
        });
        self.shares.remove(&key);
    }

    /// Whether no key has a share.
    pub(crate) fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// Removes idle keys for which `is_gone` is true. Keys with a higher charge than a new key would get are kept until a later call.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(&K) -> bool) {
        let start = self.start();
        self.shares.retain(|key, share| share.is_active() || share.charged > start || !is_gone(key));
    }

    /// The minimum charge of a key that becomes active.
    fn start(&self) -> i128 {
        self.active.first().map_or(self.floor, |(charged, _)| *charged) - HEAD_START
    }

    fn update(&mut self, key: K, change: impl FnOnce(&mut Share)) {
        let start = self.start();
        // A removed key has no share to update.
        let Some(share) = self.shares.get_mut(&key) else { return };
        let before = *share;
        change(share);
        if share.is_active() && !before.is_active() {
            share.charged = share.charged.max(start);
        }
        let after = *share;
        if before.is_ready {
            self.ready.remove(&(before.charged, key));
            if let Some(count) = self.weights.get_mut(&before.weight) {
                *count -= 1;
                if *count == 0 {
                    self.weights.remove(&before.weight);
                }
            }
        }
        if before.is_active() {
            self.active.remove(&(before.charged, key));
        }
        if after.is_ready {
            self.ready.insert((after.charged, key));
            *self.weights.entry(after.weight).or_default() += 1;
        }
        if after.is_active() {
            self.active.insert((after.charged, key));
        } else if self.active.is_empty() {
            self.floor = self.floor.max(after.charged);
        }
    }
}

/// A duration as a signed number of nanoseconds.
pub(crate) fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NORMAL: u32 = Priority::Normal.weight();

    /// How often each of two keys comes first in a number of picks.
    fn picks(order: &mut FairOrder<u8>, times: u32, takes: impl Fn(u8) -> Duration) -> [u32; 2] {
        let mut picks = [0; 2];
        for _ in 0..times {
            let key = order.in_order().next().expect("one is ready");
            let weight = order.pick(key, nanos(takes(key)));
            order.settle(key, 0, weight);
            picks[usize::from(key)] += 1;
        }
        picks
    }

    #[test]
    fn keys_get_the_same_working_time_and_not_the_same_number_of_picks() {
        let mut order = FairOrder::default();
        order.set_ready(0, 1);
        order.set_ready(1, 1);
        assert_eq!(picks(&mut order, 400, |key| SECOND * if key == 0 { 3 } else { 1 }), [100, 300]);
    }

    #[test]
    fn a_weight_is_a_multiple_of_working_time() {
        let mut order = FairOrder::default();
        order.set_ready(0, 1);
        order.set_ready(1, 3);
        assert_eq!(picks(&mut order, 400, |_| SECOND), [100, 300]);
    }

    #[test]
    fn the_largest_weight_is_that_of_a_key_that_can_be_picked() {
        let mut order = FairOrder::default();
        assert_eq!(order.largest_weight(), None);
        order.set_ready(0, 4);
        order.set_ready(1, 16);
        order.set_ready(1, 16);
        assert_eq!(order.largest_weight(), Some(16));
        order.pick(1, nanos(SECOND));
        order.set_idle(1);
        assert_eq!(order.largest_weight(), Some(4));
        order.settle(1, 0, NORMAL);
        order.set_ready(0, 1);
        assert_eq!(order.largest_weight(), Some(1));
        order.set_idle(0);
        assert_eq!(order.largest_weight(), None);
    }

    #[test]
    fn a_key_that_was_idle_has_saved_up_nothing() {
        let mut order = FairOrder::default();
        order.set_ready(0, NORMAL);
        picks(&mut order, 100, |_| SECOND);
        order.set_ready(1, NORMAL);
        assert_eq!(picks(&mut order, 2, |_| SECOND), [0, 2], "its head start");
        assert_eq!(picks(&mut order, 10, |_| SECOND), [5, 5]);
        // Being idle for a moment gives no further head start.
        order.set_idle(1);
        order.set_ready(1, NORMAL);
        assert_eq!(picks(&mut order, 10, |_| SECOND), [5, 5]);
    }

    #[test]
    fn time_that_nobody_else_wanted_is_not_held_against_a_key() {
        let mut order = FairOrder::default();
        // Key 0 runs alone for an hour, with nothing left to pick.
        order.set_ready(0, NORMAL);
        order.pick(0, 0);
        order.set_idle(0);
        order.charge(0, nanos(SECOND) * 3_600, NORMAL);
        order.set_ready(1, NORMAL);
        order.settle(0, 0, NORMAL);
        order.set_ready(0, NORMAL);
        assert_eq!(picks(&mut order, 12, |_| SECOND), [5, 7]);
    }

    #[test]
    fn a_key_does_not_shed_its_charge_by_being_idle_for_a_moment() {
        let mut order = FairOrder::default();
        order.set_ready(0, NORMAL);
        order.set_ready(1, NORMAL);
        order.charge(0, nanos(SECOND) * 10, NORMAL);
        order.set_idle(0);
        order.forget(|_| true);
        order.set_ready(0, NORMAL);
        assert_eq!(picks(&mut order, 30, |_| SECOND), [10, 20]);
        order.set_idle(0);
        order.charge(1, nanos(SECOND) * 4, NORMAL);
        order.forget(|_| true);
        assert!(!order.shares.contains_key(&0), "its charge says nothing any more");
    }

    #[test]
    fn work_that_took_less_than_expected_is_given_back() {
        let mut order = FairOrder::default();
        order.set_ready(0, NORMAL);
        order.set_ready(1, NORMAL);
        order.pick(0, nanos(SECOND));
        order.settle(0, -nanos(SECOND), NORMAL);
        assert_eq!(order.in_order().next(), Some(0));
    }

    #[test]
    fn what_was_charged_with_a_weight_is_refunded_with_the_same() {
        let mut order = FairOrder::default();
        order.set_ready(0, 16);
        order.set_ready(1, 1);
        let weight = order.pick(0, nanos(SECOND) * 600);
        // Only work of less weight is left.
        order.set_ready(0, 1);
        order.settle(0, -nanos(SECOND) * 600, weight);
        assert_eq!(order.shares.get(&0).map(|share| share.charged), order.shares.get(&1).map(|share| share.charged));
    }
}

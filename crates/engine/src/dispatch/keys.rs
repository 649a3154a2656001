//! Queues of the positions of one lap by concurrency key, within the look-ahead of its dispatcher.
//!
//! A key that is at its limit, paused or rate limited is not in the order, and neither are its positions: a granted task never waits on a
//! worker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::work::KeyLimits;

/// The maximum number of queued positions. It bounds the cost of a launch, and the memory of a batch whose first keys are full.
pub(super) const LOOK_AHEAD: usize = 4_096;

/// The name of a key.
pub(super) type Key = Arc<str>;

/// The positions within the look-ahead that are not running, in queues by key.
pub(super) struct KeyQueues {
    limits: KeyLimits,
    queues: BTreeMap<Key, KeyQueue>,
    /// The keys with a task that can start, in round-robin order.
    ready: BTreeSet<(u64, Key)>,
    /// The keys that may start no task before a time.
    timed: BTreeSet<(Instant, Key)>,
    waiting: usize,
    turns: u64,
}

struct KeyQueue {
    waiting: VecDeque<u32>,
    running: u32,
    /// No task starts before this time.
    not_before: Instant,
    turn: u64,
}

/// The reason why no task of a key can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// The key is at its limit, with this number of running tasks.
    Full(u32),
    /// The next task may start at this time.
    Until(Instant),
}

impl KeyQueues {
    /// Without positions.
    pub(super) fn new(limits: KeyLimits) -> Self {
        Self { limits, queues: BTreeMap::new(), ready: BTreeSet::new(), timed: BTreeSet::new(), waiting: 0, turns: 0 }
    }

    /// The number of queued positions.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether a task can start.
    pub(super) fn is_ready(&mut self, now: Instant) -> bool {
        while let Some((_, key)) = self.timed.first().filter(|(at, _)| *at <= now).cloned() {
            self.update(&key, now, |_| ());
        }
        !self.ready.is_empty()
    }

    /// Whether a task could start as of the last update.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When that may change without an event.
    pub(super) fn next_time(&self) -> Option<Instant> {
        self.timed.first().map(|(at, _)| *at)
    }

    /// Adds a position.
    pub(super) fn add(&mut self, key: &Key, position: u32, now: Instant) {
        self.waiting += 1;
        self.update(key, now, |queue| queue.waiting.push_back(position));
    }

    /// Removes and returns the next position whose task can start, with its key, which moves to the end of the order. Call [`KeyQueues::start`] when the task starts.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(u32, Key)> {
        if !self.is_ready(now) {
            return None;
        }
        let (_, key) = self.ready.first().cloned()?;
        self.turns += 1;
        let turn = self.turns;
        let mut position = None;
        self.update(&key, now, |queue| {
            queue.turn = turn;
            position = queue.waiting.pop_front();
        });
        self.waiting -= usize::from(position.is_some());
        Some((position?, key))
    }

    /// Removes a position that has not started, if it is there.
    pub(super) fn remove(&mut self, key: &Key, position: u32, now: Instant) {
        let mut removed = 0;
        self.update(key, now, |queue| {
            let before = queue.waiting.len();
            queue.waiting.retain(|waiting| *waiting != position);
            removed = before - queue.waiting.len();
        });
        self.waiting -= removed;
    }

    /// Records that a task of the key starts.
    pub(super) fn start(&mut self, key: &Key, now: Instant) {
        let interval = self.limits.interval;
        self.update(key, now, |queue| {
            queue.running += 1;
            queue.not_before = queue.not_before.max(now + interval);
        });
    }

    /// Records that a task of the key has ended.
    pub(super) fn end(&mut self, key: &Key, now: Instant) {
        self.update(key, now, |queue| queue.running = queue.running.saturating_sub(1));
    }

    /// Prevents further starts of the key's tasks for some time.
    pub(super) fn pause(&mut self, key: &Key, time: Duration, now: Instant) {
        self.update(key, now, |queue| queue.not_before = queue.not_before.max(now + time));
    }

    /// Removes and returns all positions.
    pub(super) fn drain(&mut self, now: Instant) -> Vec<u32> {
        let mut all = Vec::with_capacity(std::mem::take(&mut self.waiting));
        let keys: Vec<Key> = self.queues.keys().cloned().collect();
        for key in keys {
            self.update(&key, now, |queue| all.extend(queue.waiting.drain(..)));
        }
        all
    }

    /// The reason why no task of a key can start, if there is one.
    pub(super) fn block(&self, key: &str, now: Instant) -> Option<Block> {
        let queue = self.queues.get(key)?;
        match queue {
            KeyQueue { running, .. } if *running >= self.limits.concurrency => Some(Block::Full(*running)),
            KeyQueue { not_before, .. } if *not_before > now => Some(Block::Until(*not_before)),
            _ => None,
        }
    }

    /// Changes a queue, and updates the position of its key in the order.
    fn update(&mut self, key: &Key, now: Instant, change: impl FnOnce(&mut KeyQueue)) {
        // A new key comes before keys that have been served.
        let queue = self.queues.entry(Arc::clone(key)).or_insert_with(|| KeyQueue {
            waiting: VecDeque::new(),
            running: 0,
            not_before: now,
            turn: 0,
        });
        self.ready.remove(&(queue.turn, Arc::clone(key)));
        self.timed.remove(&(queue.not_before, Arc::clone(key)));
        change(queue);
        if queue.not_before > now {
            self.timed.insert((queue.not_before, Arc::clone(key)));
        } else if !queue.waiting.is_empty() && queue.running < self.limits.concurrency {
            self.ready.insert((queue.turn, Arc::clone(key)));
        } else if queue.waiting.is_empty() && queue.running == 0 {
            // The queue has no state worth keeping.
            self.queues.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn queues(concurrency: u32, interval: Duration) -> KeyQueues {
        KeyQueues::new(KeyLimits { concurrency, interval })
    }

    fn taken(queues: &mut KeyQueues, now: Instant) -> Vec<u32> {
        let next = |queues: &mut KeyQueues| {
            let (position, key) = queues.pop(now)?;
            queues.start(&key, now);
            Some(position)
        };
        std::iter::from_fn(|| next(queues)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn keys_take_turns_up_to_their_limit() {
        let now = Instant::now();
        let (one, other): (Key, Key) = ("one".into(), "other".into());
        let mut queues = queues(2, Duration::ZERO);
        (0..10).for_each(|position| queues.add(&one, position, now));
        (10..12).for_each(|position| queues.add(&other, position, now));
        assert_eq!(taken(&mut queues, now), [0, 10, 1, 11]);
        assert_eq!(queues.block("one", now), Some(Block::Full(2)));
        queues.end(&one, now);
        assert_eq!(taken(&mut queues, now), [2]);
        queues.end(&other, now);
        queues.end(&other, now);
        assert!(!queues.queues.contains_key("other"), "it is forgotten");
        assert_eq!((queues.waiting(), queues.drain(now).len(), queues.waiting()), (7, 7, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_and_a_pause_are_times_before_which_nothing_starts() {
        let start = Instant::now();
        let one: Key = "one".into();
        let mut queues = queues(8, SECOND);
        (0..4).for_each(|position| queues.add(&one, position, start));
        assert_eq!(taken(&mut queues, start), [0]);
        assert_eq!(
            (queues.next_time(), queues.block("one", start)),
            (Some(start + SECOND), Some(Block::Until(start + SECOND)))
        );
        assert_eq!(taken(&mut queues, start + SECOND), [1]);
        queues.pause(&one, SECOND * 60, start + SECOND);
        queues.pause(&one, SECOND * 2, start + SECOND);
        assert_eq!(taken(&mut queues, start + SECOND * 60), [0_u32; 0]);
        assert_eq!(taken(&mut queues, start + SECOND * 61), [2]);
        // A pause outlives the tasks of its key.
        queues.pause(&one, SECOND * 9, start + SECOND * 61);
        (0..3).for_each(|_| queues.end(&one, start + SECOND * 62));
        assert_eq!(queues.drain(start + SECOND * 62), [3]);
        queues.add(&one, 4, start + SECOND * 63);
        assert_eq!(queues.next_time(), Some(start + SECOND * 70));
    }

    proptest! {
        #[test]
        fn everything_that_is_added_is_taken_once_and_never_more_of_a_key_than_it_bears(
            steps in prop::collection::vec((0_u8..4, 0_u8..5, 0_u64..3), 1..200),
            concurrency in 1_u32..4,
            interval in 0_u64..3,
        ) {
            let start = Instant::now();
            let keys: Vec<Key> = (0..5).map(|key| key.to_string().into()).collect();
            let mut queues = queues(concurrency, SECOND * interval as u32);
            let (mut now, mut added, mut taken) = (start, 0, BTreeSet::new());
            let mut running: BTreeMap<Key, u32> = BTreeMap::new();
            for (step, key, time) in steps {
                now += SECOND * time as u32;
                let key = &keys[usize::from(key)];
                match step {
                    0 => {
                        queues.add(key, added, now);
                        added += 1;
                    }
                    1 => if let Some((position, key)) = queues.pop(now) {
                        queues.start(&key, now);
                        prop_assert!(taken.insert(position));
                        let running = running.entry(key).or_default();
                        *running += 1;
                        prop_assert!(*running <= concurrency);
                    },
                    2 => if let Some(running) = running.get_mut(key).filter(|running| **running > 0) {
                        *running -= 1;
                        queues.end(key, now);
                    },
                    _ => queues.pause(key, SECOND * time as u32, now),
                }
                prop_assert_eq!(queues.waiting(), added as usize - taken.len());
            }
            // The remaining positions only wait for time and for the ends of tasks.
            for _ in 0..=added {
                for (key, running) in &mut running {
                    (0..std::mem::take(running)).for_each(|_| queues.end(key, now));
                }
                now += SECOND * 10;
                while let Some((position, key)) = queues.pop(now) {
                    queues.start(&key, now);
                    *running.entry(key).or_default() += 1;
                    prop_assert!(taken.insert(position));
                }
            }
            prop_assert_eq!(taken.len(), added as usize);
            prop_assert_eq!(queues.waiting(), 0);
        }
    }
}

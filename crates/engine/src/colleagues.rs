//! The other nodes: what they say of themselves, and what follows from it for this one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

pub use quilt::wire::Node;
use quilt::wire::{Load, MAX_WORKERS, Running, WorkerLoad};
use quilt::{BatchId, Position, Timestamp};
use serde::{Deserialize, Serialize};

/// Orders the nodes, in another way for each batch and in the same way on all nodes.
fn rank(node: &Node, batch: BatchId) -> (u64, &str) {
    // FNV-1a, because it has to be the same in every version of this program.
    let bytes = node.name.bytes().chain(*batch.as_bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash, &node.name)
}

/// The name of one of a node's workers, which are numbered from 1.
pub(crate) fn worker_name(node: &Node, number: u32) -> Box<str> {
    format!("{}-{number}", node.name).into()
}

/// The most tasks that a node may run at the same time.
pub const MAX_SLOTS: u32 = 65_536;

/// What a worker is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Busy {
    /// Its number, from 1.
    pub worker: u32,
    /// The batch whose task it runs.
    pub batch: BatchId,
    /// The task's place in the order.
    pub position: u32,
    /// Which try it is, from 1.
    pub attempt: u8,
    /// When it was started, in milliseconds as [`Timestamp`].
    pub started_at: u64,
}

/// What a node tells the others, again and again: it is there, and this is what it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Who says so.
    pub node: Node,
    /// How many of its workers wait for an attempt that does not stop.
    pub stuck: u32,
    /// Its workers that run something.
    pub busy: Vec<Busy>,
    /// The batches of which its workers hold leases, also between two tasks and while results are being written.
    #[serde(default)]
    pub batches: BTreeSet<BatchId>,
}

impl Announcement {
    /// What a viewer of a batch is told of this node's workers.
    fn workers(&self, batch: BatchId) -> impl Iterator<Item = WorkerLoad> + '_ {
        (1..=self.node.slots).map(move |number| {
            let busy = self.busy.iter().find(|busy| busy.worker == number && busy.batch == batch);
            let running = busy.map(|busy| Running {
                position: Position(busy.position),
                attempt: busy.attempt,
                started_at: Timestamp(busy.started_at),
            });
            WorkerLoad { name: worker_name(&self.node, number), running }
        })
    }
}

/// The other nodes, as they were last heard of.
pub(crate) struct Colleagues {
    /// This node.
    own: Node,
    heard: RwLock<Arc<[Announcement]>>,
    /// How many tasks all nodes together run at the same time.
    slots: AtomicU32,
}

impl Colleagues {
    /// For a node that has not heard of others.
    pub(crate) fn of(own: &Node) -> Self {
        Self { own: own.clone(), heard: RwLock::new(Arc::new([])), slots: AtomicU32::new(own.slots) }
    }

    /// Takes note of who is there.
    pub(crate) fn hear(&self, mut others: Vec<Announcement>) {
        // Nobody has as many, and each is told of by name.
        others.retain(|other| other.node.slots <= MAX_SLOTS);
        let slots = others.iter().fold(self.own.slots, |sum, other| sum.saturating_add(other.node.slots));
        self.slots.store(slots, Ordering::Relaxed);
        *self.heard.write().unwrap_or_else(PoisonError::into_inner) = others.into();
    }

    /// How many tasks all nodes together run at the same time.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.load(Ordering::Relaxed)
    }

    /// This node's part of a limit of a batch that all have together. When nodes come or go, their parts may add up to more or to less for a moment.
    pub(crate) fn part_of(&self, limit: u32, batch: BatchId) -> u32 {
        let heard = self.heard();
        let others = || heard.iter().map(|other| &other.node).filter(|other| other.slots > 0);
        let working = others().count() as u32 + 1;
        // What does not come out even goes to other nodes for each batch.
        let own = rank(&self.own, batch);
        let before = others().filter(|other| rank(other, batch) < own).count() as u32;
        limit / working + u32::from(before < limit % working)
    }

    /// Whether there are no other nodes.
    pub(crate) fn are_alone(&self) -> bool {
        self.heard().is_empty()
    }

    /// Whether another node holds a lease of a batch, by its last announcement.
    pub(crate) fn hold_leases_of(&self, batch: BatchId) -> bool {
        self.heard().iter().any(|other| other.batches.contains(&batch))
    }

    /// What a viewer of a batch is told of all nodes, beside what this one says of itself.
    pub(crate) fn add_to(&self, load: &mut Load, batch: BatchId) {
        for other in self.heard().iter() {
            load.stuck = load.stuck.saturating_add(other.stuck);
            load.nodes.push(other.node.clone());
            load.workers.extend(other.workers(batch));
        }
        load.nodes.truncate(MAX_WORKERS as usize);
        if load.workers.len() > MAX_WORKERS as usize {
            // Those that run something are what is looked for.
            load.workers.sort_by_key(|worker| worker.running.is_none());
            load.workers.truncate(MAX_WORKERS as usize);
        }
    }

    fn heard(&self) -> Arc<[Announcement]> {
        Arc::clone(&self.heard.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, slots: u32) -> Node {
        Node { name: name.into(), host: "here".into(), slots, version: "1".into() }
    }

    fn announced(name: &str, slots: u32) -> Announcement {
        Announcement { node: node(name, slots), stuck: 0, busy: Vec::new(), batches: BTreeSet::new() }
    }

    #[test]
    fn the_parts_of_a_limit_add_up_to_it_and_not_always_the_same_node_has_more() {
        let names = ["a", "b", "c"];
        let parts = |limit, batch| {
            names.map(|own| {
                let colleagues = Colleagues::of(&node(own, 8));
                let others = names.iter().filter(|name| **name != own).map(|name| announced(name, 4));
                // Who only serves has no part.
                colleagues.hear(others.chain([announced("aa", 0)]).collect());
                assert_eq!(colleagues.slots(), 16);
                colleagues.part_of(limit, BatchId::from_bytes([batch; 16]))
            })
        };
        for limit in [1, 2, 8, 9] {
            for batch in 0..20 {
                assert_eq!(parts(limit, batch).iter().sum::<u32>(), limit);
            }
        }
        for place in 0..3 {
            assert!((0..20).any(|batch| parts(1, batch)[place] == 1), "{place} has its turn");
        }
        assert_eq!(Colleagues::of(&node("alone", 8)).part_of(5, BatchId::from_bytes([1; 16])), 5);
    }

    #[test]
    fn a_viewer_is_told_what_their_workers_run_of_the_batch() {
        let [one, other] = [1, 2].map(|number| BatchId::from_bytes([number; 16]));
        let busy = |worker, batch| Busy { worker, batch, position: 7, attempt: 2, started_at: 9 };
        let colleagues = Colleagues::of(&node("a", 1));
        let announcement = Announcement { busy: vec![busy(1, other), busy(3, one)], ..announced("b", 3) };
        colleagues.hear(vec![announcement]);
        let mut load = Load { now: Timestamp(1), stuck: 1, nodes: vec![node("a", 1)], workers: Vec::new() };
        colleagues.add_to(&mut load, one);
        let running = Running { position: Position(7), attempt: 2, started_at: Timestamp(9) };
        let told: Vec<_> = load.workers.into_iter().map(|worker| (worker.name.to_string(), worker.running)).collect();
        assert_eq!(told, [("b-1".into(), None), ("b-2".into(), None), ("b-3".into(), Some(running))]);
        assert_eq!(load.nodes, [node("a", 1), node("b", 3)]);
    }
}

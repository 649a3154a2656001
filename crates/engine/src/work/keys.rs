//! Concurrency keys: a shared resource of tasks with limited capacity, such as a host or a customer.

use std::time::Duration;

use quilt::Index;

/// Assigns a concurrency key to each task of a batch.
pub trait TaskKeys: Send + Sync {
    /// The key of a task; `None` if it is not limited. Called while work is dispatched; it must not block.
    fn key(&self, index: Index) -> Option<Box<str>>;

    /// The limits of each key.
    fn limits(&self) -> KeyLimits;
}

/// The limits of one key, across all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLimits {
    /// The maximum number of running tasks with the key; at least 1.
    pub concurrency: u32,
    /// The minimum time between the starts of two tasks with the key.
    pub interval: Duration,
}

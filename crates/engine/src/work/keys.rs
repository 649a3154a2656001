//! Keys: what tasks of a batch share that bears only so much, such as a host or a customer.

use std::time::Duration;

use quilt::Index;

/// Names what each task of a batch needs a share of.
pub trait TaskKeys: Send + Sync {
    /// The key of a task; `None` for one that is not limited. It is called while work is handed out, and must not block.
    fn key(&self, index: Index) -> Option<Box<str>>;

    /// What each key bears.
    fn limits(&self) -> KeyLimits;
}

/// What one key bears, on all nodes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLimits {
    /// How many tasks of the key may run at the same time; at least one.
    pub concurrency: u32,
    /// The shortest time between the starts of two tasks of the key.
    pub interval: Duration,
}

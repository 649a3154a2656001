//! Why a task is pending.

use serde::{Deserialize, Serialize};

use crate::slots::SlotClass;

/// The reason why a task is pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// A worker has leased it: it runs, or waits for another task of the same chunk.
    Running,
    /// Its batch is paused.
    Paused,
    /// Its batch is being stopped.
    Stopping,
    /// Its batch is at its concurrency limit.
    Limit {
        /// The limit.
        concurrency: u32,
    },
    /// Its key is at its concurrency limit.
    KeyFull {
        /// The key, such as a host.
        key: Box<str>,
        /// The number of running tasks with the key.
        running: u32,
    },
    /// No task with its key may start before a time, because of its rate limit or a pause.
    KeyPaused {
        /// The key, such as a host.
        key: Box<str>,
        /// The remaining time in milliseconds.
        in_ms: u64,
    },
    /// It failed, and waits for a retry.
    Retry {
        /// The remaining time in milliseconds.
        in_ms: u64,
    },
    /// Its batch has a later start time.
    NotBefore {
        /// The remaining time in milliseconds.
        in_ms: u64,
    },
    /// All nodes that tried to run it do not know its kind of work or its command.
    Unable,
    /// No node has slots of its class.
    NoSlots {
        /// The class.
        class: SlotClass,
    },
    /// Its workers were lost, and a node runs few such tasks concurrently.
    Suspected,
    /// It waits for a worker.
    Turn,
    /// No coordinator of its lap is known at this moment.
    Coordinator,
}

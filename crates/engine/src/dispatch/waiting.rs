//! Why a task has not ended yet.

use serde::{Deserialize, Serialize};

use crate::slots::SlotClass;

/// What a pending task waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// A worker holds it: it runs, or it is behind another task in the worker's chunk.
    Running,
    /// Its batch is paused.
    Paused,
    /// Its batch is being stopped.
    Stopping,
    /// As many tasks of its batch run as may at the same time.
    Limit {
        /// How many may.
        concurrency: u32,
    },
    /// As many tasks with its key run as may at the same time.
    KeyFull {
        /// What they share, such as a host.
        key: Box<str>,
        /// How many run.
        running: u32,
    },
    /// No task with its key starts before a time: one did a moment ago, or the key is paused.
    KeyPaused {
        /// What they share, such as a host.
        key: Box<str>,
        /// In how many milliseconds.
        in_ms: u64,
    },
    /// It failed, and is tried again.
    Retry {
        /// In how many milliseconds.
        in_ms: u64,
    },
    /// Its batch was launched to start later.
    NotBefore {
        /// In how many milliseconds.
        in_ms: u64,
    },
    /// No node can run it that has tried to: its kind of work or its command is unknown there.
    Unable,
    /// A node that has slots for it.
    NoSlots {
        /// What it needs.
        class: SlotClass,
    },
    /// Its workers were lost, and few such tasks run at the same time on one node.
    Suspected,
    /// A worker.
    Turn,
    /// A coordinator: none is known at this moment.
    Coordinator,
}

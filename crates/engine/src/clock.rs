//! The one place where the time of day is read.

use std::time::{SystemTime, UNIX_EPOCH};

use quilt::Timestamp;
use tokio::time::Instant;

/// Where an engine's time of day comes from. How long something takes is tokio's to measure, whose time can be simulated too.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// This node's clock.
    #[default]
    System,
    /// Goes on with tokio's time, from a moment that was this time of day.
    Simulated {
        /// The time of day.
        started: Timestamp,
        /// The moment.
        at: Instant,
    },
}

impl Clock {
    /// The time of day.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => now(),
            Self::Simulated { started, at } => started.plus_millis(at.elapsed().as_millis() as u64),
        }
    }
}

/// This node's time of day.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_millis() as u64)
}

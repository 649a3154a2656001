//! The clocks. This is the only module that reads the system clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quilt::Timestamp;
use tokio::time::Instant;

/// The source of an engine's time of day. Durations are measured with tokio's clock, which can be simulated as well.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// This node's clock.
    #[default]
    System,
    /// Follows tokio's clock, starting with a given time of day.
    Simulated {
        /// The time of day at the start.
        started: Timestamp,
        /// The time of tokio's clock at the start.
        at: Instant,
        /// After this time the clock is set to that time of day, once.
        set: Option<(Duration, Timestamp)>,
    },
}

impl Clock {
    /// The time of day.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => now(),
            Self::Simulated { started, at, set } => {
                let elapsed = at.elapsed();
                let since = |start: Timestamp, time: Duration| start.plus_millis(time.as_millis() as u64);
                match set.and_then(|(after, time)| Some((time, elapsed.checked_sub(after)?))) {
                    Some((time, elapsed)) => since(time, elapsed),
                    None => since(*started, elapsed),
                }
            }
        }
    }
}

/// The time of day of the system clock.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_millis() as u64)
}

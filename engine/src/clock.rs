//! The one place where the time of day is read.

use std::time::{SystemTime, UNIX_EPOCH};

use quilt::Timestamp;

/// This node's time of day.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_millis() as u64)
}

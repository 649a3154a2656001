//! The id of a lease.

use std::fmt;

use quilt::Timestamp;
use serde::{Deserialize, Serialize};

/// Identifies a lease and serves as its fencing token: of two leases of one lap, the later one has the larger id. Tasks pass its text, such
/// as `17-4`, to the services that they call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeaseId {
    /// Identifies the coordinator's term. A later coordinator of the lap has a larger epoch.
    pub epoch: u64,
    /// Counts the leases of the term.
    pub number: u64,
}

/// The first epoch of a process that starts at a time of day. The lower 16 bits count laps, so it is larger than the epochs of an earlier
/// process that started fewer than 65,536 laps a millisecond.
pub(crate) const fn first_epoch(at: Timestamp) -> u64 {
    at.0 << 16
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

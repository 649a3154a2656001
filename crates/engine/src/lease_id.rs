//! The id of a lease.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Identifies a lease, and serves as its fencing token: of two leases of one lap, the later one has the larger id. Its text, such as `17-4`, is
/// what a task passes on to the services that it calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeaseId {
    /// Identifies the coordinator's term of office; a later coordinator of the lap has a larger one.
    pub epoch: u64,
    /// Counts the leases of that term.
    pub number: u64,
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

//! Running laps, as they count against the limits.

use std::collections::{HashMap, HashSet};

use quilt::OwnerId;

use crate::dispatch::LapId;

/// The owner and the weight of a running lap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) owner: OwnerId,
    pub(super) squares: u64,
}

/// The minimum number of squares that a batch counts for. It covers the memory that each batch takes besides its squares.
const LEAST_SHARE: u64 = 4_096;

impl Share {
    pub(super) fn new(owner: OwnerId, squares: u32) -> Self {
        Self { owner, squares: LEAST_SHARE.max(squares.into()) }
    }
}

/// Laps that have not ended.
#[derive(Default)]
pub(super) struct Running {
    /// Laps that this node coordinates, or is about to.
    pub(super) here: HashMap<LapId, Share>,
    /// Laps that have ended, and whose final summaries this node is about to store. They do not count against the limits.
    pub(super) ending: HashSet<LapId>,
    /// Laps of other coordinators, as of the last check.
    pub(super) elsewhere: Vec<Share>,
}

impl Running {
    pub(super) fn all(&self) -> impl Iterator<Item = &Share> {
        self.here.values().chain(&self.elsewhere)
    }
}

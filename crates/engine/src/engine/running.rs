//! The laps that run, as they count against the limits.

use std::collections::{HashMap, HashSet};

use quilt::OwnerId;

use crate::dispatch::LapId;

/// What a running lap counts for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) owner: OwnerId,
    pub(super) squares: u64,
}

/// How many squares a small batch counts for: what it takes beside its squares is worth as many.
const LEAST_SHARE: u64 = 4_096;

impl Share {
    pub(super) fn new(owner: OwnerId, squares: u32) -> Self {
        Self { owner, squares: LEAST_SHARE.max(squares.into()) }
    }
}

/// The laps that have not reached their finish lines.
#[derive(Default)]
pub(super) struct Running {
    /// Those that this node coordinates, or is about to.
    pub(super) here: HashMap<LapId, Share>,
    /// Those that are over, and whose ends this node is about to store. They do not count any more.
    pub(super) ending: HashSet<LapId>,
    /// Those that other nodes coordinated when this one looked last.
    pub(super) elsewhere: Vec<Share>,
}

impl Running {
    pub(super) fn all(&self) -> impl Iterator<Item = &Share> {
        self.here.values().chain(&self.elsewhere)
    }
}

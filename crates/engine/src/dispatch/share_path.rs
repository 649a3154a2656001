//! Where a lap stands in the sharing of working time.

use quilt::{OwnerId, ShareGroup};

use super::lease::LapId;

/// Groups share the working time of a node, the owners of a group share its time, and the batches of an owner share the owner's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SharePath {
    pub(crate) group: ShareGroup,
    pub(crate) owner: OwnerId,
    pub(crate) lap: LapId,
}

impl SharePath {
    /// An owner without a group is the only one of a group with its id.
    pub(crate) fn new(group: Option<ShareGroup>, owner: OwnerId, lap: LapId) -> Self {
        Self { group: group.unwrap_or(ShareGroup::from_bytes(*owner.as_bytes())), owner, lap }
    }
}

//! Who asks a dispatcher for work.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use quilt::OwnerId;
use serde::{Deserialize, Serialize};

use crate::slots::SlotClass;

/// Identifies a process in the cluster. Another process of the same name has another id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u128);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The node whose workers hold a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// The coordinator's own node. Its leases do not expire: they are released when the worker's future ends, however it does.
    Here,
    /// Another node.
    Peer(NodeId),
}

/// A moment at which a node is known to hold its leases, or to ask for one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contact {
    /// The node.
    pub(crate) holder: Holder,
    /// The time in which messages arrive, for leases of peers.
    pub(crate) live: Duration,
    /// The number of the exchange with a peer.
    pub(crate) exchange: u64,
}

impl Contact {
    /// With the coordinator's own node.
    pub(crate) const HERE: Self = Self { holder: Holder::Here, live: Duration::ZERO, exchange: u64::MAX };
}

/// A free slot for which a node asks for work.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    /// The node.
    pub(crate) contact: Contact,
    /// The class of the slot.
    pub(crate) class: SlotClass,
    /// How many slots of the node may run one batch whose tasks keep processors busy.
    pub(crate) cpu_bound_slots: u32,
    /// How many slots of the class all nodes have together.
    pub(crate) workers: u32,
    /// The slot is reserved for owners other than these.
    pub(crate) reserved_from: Option<BTreeSet<OwnerId>>,
}

impl Asker {
    pub(super) fn holder(&self) -> Holder {
        self.contact.holder
    }

    pub(super) fn accepts(&self, owner: OwnerId) -> bool {
        self.reserved_from.as_ref().is_none_or(|owners| !owners.contains(&owner))
    }
}

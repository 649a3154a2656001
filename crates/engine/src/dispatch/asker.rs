//! Requests for leases.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use quilt::ShareGroup;
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
    /// The coordinator's own node. Its leases do not expire: they are released when the worker's future is dropped.
    Here,
    /// Another node.
    Peer(NodeId),
}

/// A contact with a node, which confirms its leases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contact {
    /// The node.
    pub(crate) holder: Holder,
    /// The time of the contact on the live clock, which advances only while messages arrive. Used for peers only.
    pub(crate) live: Duration,
    /// The number of the exchange with a peer.
    pub(crate) exchange: u64,
}

impl Contact {
    /// A contact with the coordinator's own node.
    pub(crate) const HERE: Self = Self { holder: Holder::Here, live: Duration::ZERO, exchange: u64::MAX };
}

/// A request for a lease, for one free slot of a node.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    /// The node.
    pub(crate) contact: Contact,
    /// The class of the slot.
    pub(crate) class: SlotClass,
    /// The maximum number of slots of the node that may run one CPU-bound batch.
    pub(crate) cpu_bound_slots: u32,
    /// The total number of slots of the class on all nodes.
    pub(crate) workers: u32,
    /// If present, the slot is reserved for groups that are not in this set.
    pub(crate) reserved_from: Option<BTreeSet<ShareGroup>>,
}

impl Asker {
    pub(super) fn holder(&self) -> Holder {
        self.contact.holder
    }

    pub(super) fn accepts(&self, group: ShareGroup) -> bool {
        self.reserved_from.as_ref().is_none_or(|groups| !groups.contains(&group))
    }
}

//! What nodes send each other.

use std::collections::BTreeSet;

use quilt::wire::Node;
use quilt::{BatchId, OwnerId, Position};
use serde::{Deserialize, Serialize};

use crate::dispatch::{LapId, Lease, LeaseId, NodeId, Release, Waiting};

/// The version of these messages. Nodes of another version do not exchange work with this one.
pub(crate) const PROTOCOL: u32 = 2;

/// What a worker is running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningTask {
    /// The worker's number, from 1.
    pub worker: u32,
    /// The batch whose task it runs.
    pub batch: BatchId,
    /// The task's position in the order.
    pub position: u32,
    /// The number of the attempt, from 1.
    pub attempt: u8,
    /// When it was started, in milliseconds as [`Timestamp`](quilt::Timestamp).
    pub started_at: u64,
}

/// What a node sends to all others twice a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Identifies the process.
    pub id: NodeId,
    /// The version of its messages.
    pub protocol: u32,
    /// The node.
    pub node: Node,
    /// How many owners have work that this node can hand out now.
    pub ready: u32,
    /// How many of its workers wait for an attempt that does not stop.
    pub unresponsive: u32,
    /// Whether it starts no more tasks because it is ending.
    pub is_draining: bool,
    /// What its workers run.
    pub running: Vec<RunningTask>,
}

/// A request to the coordinator of laps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// A node gives leases back, confirms those that it holds, and asks for more.
    Exchange(Exchange),
    /// A node has become the coordinator of a lap, and asks which leases of it the receiver's workers hold.
    Holdings { lap: LapId, coordinator: NodeId },
    /// What does a pending task wait for? Asked by a node that does not coordinate its lap.
    Why { lap: LapId, position: Position },
}

/// See [`Request::Exchange`]. It may be sent again if there was no reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) from: NodeId,
    /// Counts the exchanges between the two processes. One that arrives after a later one is ignored.
    pub(crate) number: u64,
    pub(crate) released: Vec<(LapId, LeaseId, Release)>,
    /// Leases whose tails are given back: they end at these positions now.
    pub(crate) shrunk: Vec<(LapId, LeaseId, Position)>,
    /// All leases that the node holds of the receiver, where they are to be confirmed.
    pub(crate) held: Option<Vec<Lease>>,
    pub(crate) wants: Vec<Want>,
    /// How many of the node's slots may run one batch that keeps processors busy.
    pub(crate) cpu_bound_slots: u32,
}

/// Free slots of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Want {
    /// How many.
    pub(crate) slots: u32,
    /// They are reserved for owners other than these.
    pub(crate) reserved_from: Option<BTreeSet<OwnerId>>,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// To an exchange.
    Granted {
        /// The leases that were granted, with their owners.
        leases: Vec<(OwnerId, Lease)>,
        /// Those that the node has confirmed and does not hold.
        lost: Vec<LeaseId>,
        /// How many owners have work that can be handed out now.
        ready: u32,
    },
    /// To a question for holdings.
    Holdings {
        /// The leases that are held.
        leases: Vec<Lease>,
        /// See [`Exchange::cpu_bound_slots`].
        cpu_bound_slots: u32,
    },
    /// To a question why; nothing if the receiver does not coordinate the lap.
    Why(Option<Waiting>),
    /// The request cannot be read, or came too late.
    Ignored,
}

//! What nodes send each other.

use std::collections::BTreeSet;

use quilt::{BatchId, OwnerId, Position};
use serde::{Deserialize, Serialize};

use crate::dispatch::{LapId, Lease, LeaseId, NodeId, Release, Waiting};
use crate::slots::{Node, SlotClass, Slots};

/// The version of these messages. Nodes of another version do not exchange work with this one.
pub(crate) const PROTOCOL: u32 = 3;

/// What a worker runs of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningTask {
    /// The worker's number, from 1.
    pub(crate) worker: u32,
    /// The task's position in the order.
    pub(crate) position: u32,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u8,
    /// When it was started, in milliseconds as [`Timestamp`](quilt::Timestamp).
    pub(crate) started_at: u64,
}

/// What a node runs of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningTasks {
    /// How many tasks.
    pub(crate) count: u32,
    /// Those that have run for longest, longest first: at most [`MAX_RUNNING`](quilt::wire::MAX_RUNNING).
    pub(crate) longest: Vec<RunningTask>,
}

/// What a node sends to all others twice a second. Its size does not depend on how much runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Identifies the process.
    pub id: NodeId,
    /// The version of its messages.
    pub protocol: u32,
    /// The node.
    pub node: Node,
    /// How many owners have work that this node can hand out now, by the slots that it needs.
    pub ready: Slots,
    /// How many of its workers wait for an attempt that does not stop.
    pub unresponsive: u32,
    /// Whether it starts no more tasks because it is ending.
    pub is_draining: bool,
}

/// What can be read of the status of a node whose version is another one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ForeignStatus {
    pub(crate) protocol: u32,
    pub(crate) node: ForeignNode,
}

/// See [`ForeignStatus`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ForeignNode {
    pub(crate) name: String,
    pub(crate) version: String,
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
    /// What does the node run of a batch? Asked for those who look at it.
    Running { batch: BatchId },
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
    /// Of which class.
    pub(crate) class: SlotClass,
    /// They are reserved for owners other than these.
    pub(crate) reserved_from: Option<BTreeSet<OwnerId>>,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// To an exchange.
    Granted {
        /// The leases that were granted, with the classes of the slots that they are for, and their owners.
        leases: Vec<(SlotClass, OwnerId, Lease)>,
        /// Those that the node has confirmed and does not hold.
        lost: Vec<LeaseId>,
        /// How many owners have work that can be handed out now, by the slots that it needs.
        ready: Slots,
    },
    /// To a question for holdings: the leases that are held.
    Holdings(Vec<Lease>),
    /// To a question why; nothing if the receiver does not coordinate the lap.
    Why(Option<Waiting>),
    /// To a question for what runs.
    Running(RunningTasks),
    /// The request cannot be read, or came too late.
    Ignored,
}

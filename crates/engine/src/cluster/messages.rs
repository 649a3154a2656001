//! Messages between nodes.

use std::collections::BTreeSet;

use quilt::{BatchId, Position, ShareGroup};
use serde::{Deserialize, Serialize};

use crate::dispatch::{LapId, Lease, LeaseId, NodeId, Release, Waiting};
use crate::slots::{Node, SlotClass, Slots};

/// The version of these messages. Nodes of another version do not exchange work with this one.
pub(crate) const PROTOCOL: u32 = 3;

/// A running task of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningTask {
    /// The worker's number, from 1.
    pub(crate) worker: u32,
    /// The task's position in the order.
    pub(crate) position: u32,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u8,
    /// When the attempt started, in milliseconds as [`Timestamp`](quilt::Timestamp).
    pub(crate) started_at: u64,
}

/// The tasks of a batch that a node is running.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunningTasks {
    /// The number of tasks.
    pub(crate) count: u32,
    /// The longest-running tasks, longest first. At most [`MAX_RUNNING`](quilt::wire::MAX_RUNNING).
    pub(crate) longest: Vec<RunningTask>,
}

/// The status that each node publishes twice a second. Its size does not depend on the number of running tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Identifies the process.
    pub id: NodeId,
    /// The version of its protocol.
    pub protocol: u32,
    /// The node.
    pub node: Node,
    /// The number of groups of owners with work that this node can grant now, by slot class.
    pub ready: Slots,
    /// The number of its workers that are blocked by an unresponsive attempt.
    pub unresponsive: u32,
    /// Whether it starts no more tasks because it is shutting down.
    pub is_draining: bool,
}

/// The readable part of the status of a node with another protocol version.
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

/// A request to another node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Releases and confirms leases, and requests new ones.
    Exchange(Exchange),
    /// Sent by the new coordinator of a lap. Asks for the leases of the lap that the receiver's workers hold.
    Holdings { lap: LapId, coordinator: NodeId },
    /// Asks why a task is pending. Sent by a node that does not coordinate its lap.
    Why { lap: LapId, position: Position },
    /// Asks for the tasks of a batch that the receiver is running, for viewers.
    Running { batch: BatchId },
}

/// See [`Request::Exchange`]. It may be resent if there was no reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) from: NodeId,
    /// Counts the exchanges between two processes. An exchange that arrives after a later one is ignored.
    pub(crate) number: u64,
    pub(crate) released: Vec<(LapId, LeaseId, Release)>,
    /// Shortened leases, with their new ends.
    pub(crate) shrunk: Vec<(LapId, LeaseId, Position)>,
    /// All leases of the receiver that the sender holds, if they are to be confirmed.
    pub(crate) held: Option<Vec<Lease>>,
    pub(crate) wants: Vec<Want>,
    /// The maximum number of the sender's slots that may run one CPU-bound batch.
    pub(crate) cpu_bound_slots: u32,
}

/// A request for leases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Want {
    /// The number of free slots.
    pub(crate) slots: u32,
    /// Their class.
    pub(crate) class: SlotClass,
    /// If present, the slots are reserved for groups that are not in this set.
    pub(crate) reserved_from: Option<BTreeSet<ShareGroup>>,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The reply to an exchange.
    Granted {
        /// The granted leases, with their slot classes and groups.
        leases: Vec<(SlotClass, ShareGroup, Lease)>,
        /// Confirmed leases that the sender does not hold.
        lost: Vec<LeaseId>,
        /// The number of groups of owners with work that can be granted now, by slot class.
        ready: Slots,
    },
    /// The reply to a request for holdings.
    Holdings(Vec<Lease>),
    /// The reply to [`Request::Why`]. `None` if the receiver does not coordinate the lap.
    Why(Option<Waiting>),
    /// The reply to a request for running tasks.
    Running(RunningTasks),
    /// The request cannot be read, or arrived too late.
    Ignored,
}

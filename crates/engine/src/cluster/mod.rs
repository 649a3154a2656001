//! The other nodes: what a backend has to offer so that several nodes run the same batches, and what nodes send each other.
//!
//! Each lap has one coordinator, which hands out its chunks and answers the other nodes' requests for them. A node whose workers hold leases of
//! another one confirms them every few seconds. A backend for one process offers none of this, and needs none.
//!
//! # Layout
//!
//! - `interface`: [`Coordination`] and [`Messages`], what a backend has to offer
//! - `messages`: what nodes send each other; `ask`: sends a request; `live`: the time in which messages arrive
//! - `peers`: the other nodes, by their statuses; `load`: what they run of a batch
//! - `remote`: leases that other nodes have granted to this one; `serve`: answers requests of other nodes

mod ask;
mod interface;
mod live;
mod load;
mod messages;
mod peers;
mod remote;
mod serve;

pub(crate) use self::ask::ask;
pub use self::interface::{Cluster, Coordination, Incoming, Messages};
pub(crate) use self::live::LiveClock;
pub(crate) use self::load::PeerLoad;
pub use self::messages::NodeStatus;
pub(crate) use self::messages::{PROTOCOL, Reply, Request, RunningTask, RunningTasks};
pub(crate) use self::peers::Peers;
pub(crate) use self::remote::Remote;
pub(crate) use self::serve::{Service, demote};

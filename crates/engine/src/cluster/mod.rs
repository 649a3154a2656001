//! The cluster: the interface to a backend that connects several nodes, and the messages between them.
//!
//! Each lap has one coordinator, which grants leases of its chunks to workers of all nodes. A node confirms the leases that it holds from
//! other coordinators every few seconds. A backend for a single process implements none of this.
//!
//! # Layout
//!
//! - `interface`: [`Coordination`] and [`Messages`], which a backend implements
//! - `messages`: the messages between nodes; `ask`: sends requests; `live`: a clock that advances only while messages arrive
//! - `peers`: the other nodes, by their statuses; `load`: the tasks that they run of a batch
//! - `remote`: leases from other coordinators; `exchange`: exchanges with these coordinators; `serve`: answers requests of other nodes

mod ask;
mod exchange;
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

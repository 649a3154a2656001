//! Answers requests of other nodes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use quilt::BatchId;

use super::interface::{Incoming, Messages};
use super::live::LiveClock;
use super::messages::{Exchange, Reply, Request, RunningTasks, Want};
use super::peers::Peers;
use super::remote::Remote;
use crate::dispatch::{Asker, Contact, Holder, LapId, NodeId, Scheduler};

/// The maximum number of leases per reply, so that it fits into a message.
const MAX_GRANTED: usize = 1_000;

/// Returns the tasks of a batch that this node is running.
pub(crate) type RunningOf = Box<dyn Fn(BatchId) -> RunningTasks + Send + Sync>;

/// Answers requests.
pub(crate) struct Service {
    pub(crate) messages: Arc<dyn Messages>,
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) remote: Arc<Remote>,
    pub(crate) live: Arc<LiveClock>,
    /// Returns the tasks of a batch that this node is running.
    pub(crate) running: RunningOf,
    /// The number of the last exchange with each node.
    exchanges: Mutex<BTreeMap<NodeId, u64>>,
}

impl Service {
    pub(crate) fn new(
        messages: Arc<dyn Messages>,
        scheduler: Arc<Scheduler>,
        peers: Arc<Peers>,
        remote: Arc<Remote>,
        live: Arc<LiveClock>,
        running: RunningOf,
    ) -> Self {
        Self { messages, scheduler, peers, remote, live, running, exchanges: Mutex::default() }
    }

    /// Answers requests as long as the backend delivers them.
    pub(crate) async fn run(&self) {
        let mut requests = self.messages.requests();
        while let Some(Incoming { request, reply }) = requests.next().await {
            let answer = match serde_json::from_slice(&request) {
                Ok(Request::Exchange(exchange)) => self.exchange(exchange),
                Ok(Request::Holdings { lap, coordinator }) => self.holdings(lap, coordinator),
                Ok(Request::Why { lap, position }) => {
                    Reply::Why(self.scheduler.why(lap, position, |class| self.peers.working(class)))
                }
                Ok(Request::Running { batch }) => Reply::Running((self.running)(batch)),
                Err(error) => {
                    tracing::debug!(%error, "a request of another node cannot be read");
                    Reply::Ignored
                }
            };
            // A struct of numbers and ids always serializes.
            reply(Bytes::from(serde_json::to_vec(&answer).unwrap_or_default()));
        }
    }

    fn exchange(&self, exchange: Exchange) -> Reply {
        let Exchange { from, number, released, shrunk, held, wants, cpu_bound_slots } = exchange;
        if !self.is_next(from, number) {
            return Reply::Ignored;
        }
        for (lap, lease, release) in released {
            self.scheduler.release(lap, lease, Holder::Peer(from), release);
        }
        for (lap, lease, end) in shrunk {
            self.scheduler.shrink(lap, lease, Holder::Peer(from), end);
        }
        let contact = Contact { holder: Holder::Peer(from), live: self.live.now(), exchange: number };
        let lost = held.map(|held| self.scheduler.confirm(contact, &held)).unwrap_or_default();
        let mut leases = Vec::new();
        for Want { slots, class, reserved_from } in wants {
            let workers = self.peers.slots(class);
            let mut asker = Asker { contact, class, cpu_bound_slots, workers, reserved_from };
            for _ in 0..slots {
                if leases.len() >= MAX_GRANTED {
                    break;
                }
                let Some(granted) = self.scheduler.claim(&asker) else { break };
                if let Some(groups) = &mut asker.reserved_from {
                    groups.insert(granted.group);
                }
                leases.push((class, granted.group, granted.lease));
            }
        }
        Reply::Granted { leases, lost, ready: *self.scheduler.ready().borrow() }
    }

    /// Whether an exchange is later than all previous ones.
    fn is_next(&self, from: NodeId, number: u64) -> bool {
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        if exchanges.len() > 2 * self.peers.ids().len() + 16 {
            let known = self.peers.ids();
            exchanges.retain(|id, _| known.contains(id));
        }
        match exchanges.get(&from) {
            Some(last) if *last >= number => false,
            _ => {
                exchanges.insert(from, number);
                true
            }
        }
    }

    fn holdings(&self, lap: LapId, coordinator: NodeId) -> Reply {
        // Another node coordinates the lap now, even if this node still has a dispatcher of it.
        demote(&self.scheduler, &self.remote, lap);
        Reply::Holdings(self.remote.move_to(lap, coordinator))
    }
}

/// Closes a lap that another node coordinates now. Chunks that this node's workers are running continue.
pub(crate) fn demote(scheduler: &Scheduler, remote: &Remote, lap: LapId) {
    scheduler.close(lap, |leases, validity| {
        validity.lose();
        remote.keep_running(leases, validity);
    });
}

//! What the workers run, for viewers and for the other nodes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use quilt::BatchId;
use quilt::wire::Load;
use tokio::time::{sleep, timeout};

use super::shared::{Engine, OtherNodes, Shared};
use crate::cluster::{NodeStatus, PROTOCOL};

/// How often a node publishes its status.
pub(super) const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// The shortest pause between two statuses.
const STATUS_PAUSE: Duration = Duration::from_millis(10);

/// How often owners are charged for what runs.
const ACCOUNT_INTERVAL: Duration = Duration::from_millis(500);

impl Engine {
    /// What the workers are running, for a viewer of a batch.
    #[must_use]
    pub fn load(&self, batch: BatchId) -> Load {
        let Shared { statuses, unresponsive, settings, peers, .. } = &*self.shared;
        let mut load = Load {
            now: settings.clock.now(),
            stuck: unresponsive.load(Ordering::Relaxed),
            nodes: vec![settings.node.clone()],
            workers: statuses.iter().map(|status| status.snapshot(batch)).collect(),
        };
        peers.add_to(&mut load, batch);
        load
    }

    /// Charges owners for what runs, takes back the leases of lost nodes, and forgets what was not used lately.
    pub(super) async fn keep_accounts(&self) {
        let Shared { scheduler, cluster, peers, .. } = &*self.shared;
        loop {
            sleep(ACCOUNT_INTERVAL).await;
            scheduler.accrue();
            if let Some(OtherNodes { live, remote, .. }) = cluster {
                if live.tick(peers.is_reachable()) {
                    // Nobody could confirm anything meanwhile.
                    scheduler.confirm_all(live.now());
                }
                scheduler.expire(live.now());
                peers.forget_silent(live.now());
                remote.forget_lost();
            }
        }
    }

    /// Publishes this node's status twice a second, and at once when it has work to hand out.
    pub(super) async fn publish_statuses(&self) {
        let Shared { cluster, scheduler, .. } = &*self.shared;
        let Some(OtherNodes { cluster, .. }) = cluster else { return };
        let mut ready = scheduler.ready();
        loop {
            ready.mark_unchanged();
            if let Some(message) = encode(self.status(), cluster.messages.max_bytes()) {
                cluster.messages.broadcast(message).await;
            }
            sleep(STATUS_PAUSE).await;
            let has_work = async {
                // An end of work is seen by those who ask for it.
                while ready.changed().await.is_ok() && *ready.borrow_and_update() == 0 {}
            };
            // Both an end of the time and a change are a reason to go on.
            let _ = timeout(STATUS_INTERVAL, has_work).await;
        }
    }

    /// Receives the statuses of all nodes.
    pub(super) async fn receive_statuses(&self) {
        let Shared { cluster, peers, .. } = &*self.shared;
        let Some(OtherNodes { cluster, live, .. }) = cluster else { return };
        let own = cluster.messages.id();
        let mut broadcasts = cluster.messages.broadcasts();
        while let Some(message) = broadcasts.next().await {
            match serde_json::from_slice(&message) {
                Ok(status) => peers.update(status, own, live.now()),
                Err(error) => tracing::debug!(%error, "the status of a node cannot be read"),
            }
        }
    }

    fn status(&self) -> NodeStatus {
        let Shared { settings, statuses, unresponsive, scheduler, cluster, stopping, .. } = &*self.shared;
        NodeStatus {
            id: cluster.as_ref().map(|nodes| nodes.cluster.messages.id()).unwrap_or_default(),
            protocol: PROTOCOL,
            node: settings.node.clone(),
            ready: *scheduler.ready().borrow(),
            unresponsive: unresponsive.load(Ordering::Relaxed),
            is_draining: stopping.is_cancelled(),
            running: (1..).zip(statuses).filter_map(|(number, status)| status.running_task(number)).collect(),
        }
    }
}

/// A status as a message of limited size: without what some of the workers run, if it has to be.
fn encode(mut status: NodeStatus, max_bytes: usize) -> Option<Bytes> {
    loop {
        let message = serde_json::to_vec(&status).ok()?;
        if message.len() <= max_bytes {
            return Some(message.into());
        }
        if status.running.is_empty() {
            return None;
        }
        let half = status.running.len() / 2;
        status.running.truncate(half);
    }
}

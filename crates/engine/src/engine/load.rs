//! The tasks that the workers run, for viewers and for the other nodes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use quilt::grid::MAX_SQUARES;
use quilt::wire::{Load, MAX_NODES, MAX_RUNNING, NodeLoad, Running};
use quilt::{Position, Timestamp};
use tokio::time::{sleep, timeout};

use super::shared::{Engine, OtherNodes, Shared};
use crate::cluster::{NodeStatus, PROTOCOL, RunningTasks};
use crate::live::LiveBatch;
use crate::slots::{Node, SlotClass};

/// How often a node publishes its status.
pub(super) const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// The minimum pause between two statuses.
const STATUS_PAUSE: Duration = Duration::from_millis(10);

/// How often owners are charged for running tasks.
const ACCOUNT_INTERVAL: Duration = Duration::from_millis(500);

impl Engine {
    /// The nodes and the tasks of a batch that they run. Other nodes are asked, and have 250 ms to answer.
    pub async fn load(&self, batch: &LiveBatch) -> Load {
        let Shared { pool, context, settings, peers, cluster, .. } = &*self.shared;
        let class = batch.slot_class().unwrap_or(SlotClass::Async);
        let own = pool.running(batch.id());
        let mut load = Load {
            now: settings.clock.now(),
            unresponsive: context.unresponsive.load(Ordering::Relaxed).saturating_add(peers.unresponsive()),
            nodes: Vec::new(),
            longest: Vec::new(),
        };
        add(&mut load, &settings.node, class, own);
        if let Some(OtherNodes { load: others, .. }) = cluster {
            let mut running = others.of(batch.id()).await;
            for (id, node) in peers.nodes() {
                add(&mut load, &node, class, running.remove(&id).unwrap_or_default());
            }
        }
        load.nodes.truncate(MAX_NODES as usize);
        load.longest.sort_by_key(|running| running.started_at);
        load.longest.truncate(MAX_RUNNING as usize);
        load
    }

    /// Charges owners for running tasks, expires the leases of lost nodes, and drops state of lost peers.
    pub(super) async fn keep_accounts(&self) {
        let Shared { scheduler, cluster, peers, .. } = &*self.shared;
        loop {
            sleep(ACCOUNT_INTERVAL).await;
            scheduler.accrue();
            if let Some(OtherNodes { live, remote, .. }) = cluster {
                if live.tick(peers.is_reachable()) {
                    // No peer could confirm its leases while messages did not arrive.
                    scheduler.confirm_all(live.now());
                }
                scheduler.expire(live.now());
                peers.forget_silent(live.now());
                remote.forget_lost();
            }
        }
    }

    /// Publishes this node's status twice a second, and immediately when it has work to hand out.
    pub(super) async fn publish_statuses(&self) {
        let Shared { cluster, scheduler, .. } = &*self.shared;
        let Some(OtherNodes { cluster, .. }) = cluster else { return };
        let mut ready = scheduler.ready();
        loop {
            ready.mark_unchanged();
            // A struct of numbers and strings always serializes.
            let status = serde_json::to_vec(&self.status()).unwrap_or_default();
            cluster.messages.broadcast(status.into()).await;
            sleep(STATUS_PAUSE).await;
            let has_work = async {
                // Peers notice the end of work when they ask for it.
                while ready.changed().await.is_ok() && ready.borrow_and_update().sum() == 0 {}
            };
            // Both a timeout and a change trigger the next status.
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
                Err(error) => match serde_json::from_slice(&message) {
                    Ok(foreign) => peers.refuse(foreign),
                    Err(_) => tracing::debug!(%error, "the status of a node cannot be read"),
                },
            }
        }
    }

    fn status(&self) -> NodeStatus {
        let Shared { settings, context, scheduler, cluster, .. } = &*self.shared;
        NodeStatus {
            id: cluster.as_ref().map(|nodes| nodes.cluster.messages.id()).unwrap_or_default(),
            protocol: PROTOCOL,
            node: settings.node.clone(),
            ready: *scheduler.ready().borrow(),
            unresponsive: context.unresponsive.load(Ordering::Relaxed),
            is_draining: context.stopping.is_cancelled(),
        }
    }
}

/// Adds the running tasks of a node.
fn add(load: &mut Load, node: &Node, class: SlotClass, tasks: RunningTasks) {
    let Node { name, host, version, slots } = node.clone();
    let running = tasks.longest.into_iter().map(|task| Running {
        worker: node.worker(task.worker),
        // Another node may have sent any position.
        position: Position(task.position.min(MAX_SQUARES - 1)),
        attempt: task.attempt,
        started_at: Timestamp(task.started_at),
    });
    load.longest.extend(running.take(MAX_RUNNING as usize));
    load.nodes.push(NodeLoad { name, host, version, slots: slots[class], running: tasks.count });
}

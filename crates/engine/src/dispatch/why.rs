//! Determines why a task is pending.

use std::ops::Range;

use quilt::{Position, Status};
use tokio::time::Instant;

use super::asker::Holder;
use super::dispatcher::Dispatcher;
use super::waiting::Waiting;

impl Dispatcher {
    /// The reason why a task is pending. `nodes` are the nodes with slots of its class.
    pub(super) fn why(&self, position: Position, nodes: &[Holder], now: Instant) -> Waiting {
        let gate = self.of.batch.gate();
        let includes = |positions: &Range<u32>| positions.contains(&position.0);
        let is_running = self.in_flight.values().any(|lease| includes(&lease.positions));
        let retry = self.retries.iter().find(|(_, positions)| includes(positions)).map(|((due, _), _)| *due);
        let start_delay = self.start_delay();
        let block = self.block(position, now);
        match (gate.status, retry, gate.concurrency) {
            _ if is_running => Waiting::Running,
            (Status::Paused, ..) => Waiting::Paused,
            (Status::Draining | Status::Cancelled, ..) => Waiting::Stopping,
            _ if start_delay.is_some() => {
                Waiting::NotBefore { in_ms: start_delay.unwrap_or_default().as_millis() as u64 }
            }
            (_, Some(due), _) => Waiting::Retry { in_ms: (due - now).as_millis() as u64 },
            (.., Some(concurrency)) if self.in_flight.len() >= concurrency as usize => Waiting::Limit { concurrency },
            _ if block.is_some() => block.unwrap_or(Waiting::Turn),
            _ if nodes.is_empty() => self.class.map_or(Waiting::Unable, |class| Waiting::NoSlots { class }),
            _ if nodes.iter().all(|node| self.avoided.contains_key(node)) => Waiting::Unable,
            _ if self.suspects.iter().any(|suspect| includes(&suspect.positions)) => Waiting::Suspected,
            _ => Waiting::Turn,
        }
    }
}

//! The end of leases, as their dispatcher sees it.

use std::ops::Range;
use std::time::Duration;

use quilt::Position;
use tokio::time::Instant;

use super::asker::Holder;
use super::class_order::Pick;
use super::dispatcher::{Dispatcher, InFlight, MAX_RETRY_DELAY};
use super::fair::nanos;
use super::lease::{Release, RetryGroup};
use super::suspects::{Record, Suspect};
use crate::lease_id::LeaseId;
use crate::slots::SlotClass;

/// How long a node is granted no chunks of a lap after it has named another class of slots than the known one.
const UNABLE_TIME: Duration = Duration::from_secs(60);

/// The maximum time for which a node is not granted chunks of a batch that it cannot run.
const MAX_AVOID: Duration = Duration::from_secs(3_600);

/// A lease that has ended.
pub(super) struct Ended {
    /// How its time is charged.
    pub(super) pick: Pick,
    /// The nanoseconds of working time that were not charged yet.
    pub(super) nanos: i128,
}

impl InFlight {
    fn ended(&self, now: Instant) -> Ended {
        Ended { pick: self.pick, nanos: nanos(now - self.since) - self.charged }
    }
}

impl Dispatcher {
    /// Shortens a lease. Its tail, from a position on, becomes unassigned.
    pub(super) fn shrink(&mut self, id: LeaseId, holder: Holder, end: Position, now: Instant) {
        let Some(lease) = self.in_flight.get_mut(&id).filter(|lease| lease.holder == holder) else { return };
        let end = end.0.clamp(lease.positions.start, lease.positions.end);
        let tail = end..std::mem::replace(&mut lease.positions.end, end);
        let record = lease.record;
        self.hand_back(tail, record);
        // A task of the first chunk waits, so others are not held up any longer.
        self.end_probe(now);
    }

    /// Ends a lease. Returns `None` if the node does not hold it.
    pub(super) fn release(&mut self, id: LeaseId, holder: Holder, release: Release, now: Instant) -> Option<Ended> {
        if let (Some(early), false) = (&mut self.opening, self.in_flight.contains_key(&id)) {
            early.insert(id, release);
            return None;
        }
        self.in_flight.get(&id).filter(|lease| lease.holder == holder)?;
        let lease = self.in_flight.remove(&id)?;
        let ended = lease.ended(now);
        let InFlight { positions, record, since, key, .. } = lease;
        self.end_key(key, release.key_pause, now);
        let done_to = release.done_to.0.clamp(positions.start, positions.end);
        self.hand_back(done_to..positions.end, record);
        for RetryGroup { first, end, delay } in release.retries {
            let group = first.0.max(positions.start)..end.0.min(done_to);
            if !group.is_empty() {
                self.add_retry(now + delay.min(MAX_RETRY_DELAY), group);
            }
        }
        self.after = self.after.max(release.after);
        if let Some(measured) = release.measured {
            let elapsed = measured.elapsed.min(now - since);
            self.of.batch.estimate.measured(measured.tasks, elapsed, measured.has_waited);
        }
        let is_of_other_class = release.class.is_some_and(|class| !self.learn_class(class));
        if let Some(time) = release.avoid.or(is_of_other_class.then_some(UNABLE_TIME)) {
            self.avoided.insert(holder, now + time.min(MAX_AVOID));
        }
        Some(ended)
    }

    /// Takes note of the class that the tasks need. Returns `false` if it is known to be another one.
    fn learn_class(&mut self, class: SlotClass) -> bool {
        *self.class.get_or_insert(class) == class
    }

    /// Makes positions of a lease unassigned. Those of a suspect stay suspected.
    fn hand_back(&mut self, positions: Range<u32>, record: Record) {
        match record.is_suspect() && !positions.is_empty() {
            true => self.suspects.push(Suspect { positions, record }),
            false => self.unassign(positions),
        }
    }

    pub(super) fn add_retry(&mut self, due: Instant, positions: Range<u32>) {
        self.counter += 1;
        self.retries.insert((due, self.counter), positions);
    }

    /// Ends a lease that its holder does not know.
    pub(super) fn reclaim(&mut self, id: LeaseId, now: Instant) -> Option<Ended> {
        let lease = self.in_flight.remove(&id)?;
        let ended = lease.ended(now);
        self.end_key(lease.key, None, now);
        self.hand_back(lease.positions, lease.record);
        Some(ended)
    }

    /// Ends a lease whose holder is lost. The holder lost `lost` leases in total, of which `suspects` were suspects.
    pub(super) fn expire(&mut self, id: LeaseId, (lost, suspects): (u32, u32), now: Instant) -> Option<Ended> {
        let lease = self.in_flight.remove(&id)?;
        let ended = lease.ended(now);
        let InFlight { positions, record, key, .. } = lease;
        self.end_key(key, None, now);
        let record = record.after_loss(lost, suspects);
        tracing::warn!(batch = %self.of.lap.batch, unclean_stops = record.unclean_stops, "a lease has expired: its worker is lost");
        self.suspects.push(Suspect { positions, record });
        Some(ended)
    }
}

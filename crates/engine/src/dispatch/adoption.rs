//! Adoption of a lap by a new coordinator: leases that an earlier coordinator has granted.

use std::collections::BTreeMap;
use std::ops::Range;

use quilt::Position;
use tokio::time::Instant;

use super::asker::{Contact, Holder};
use super::class_order::Pick;
use super::dispatcher::{Dispatcher, InFlight};
use super::keys::Key;
use super::lease::{Lease, LeaseMode};
use super::suspects::{Record, overlap, without};
use crate::slots::SlotClass;

/// The result of adopting a lease of an earlier coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adoption {
    New,
    Known,
    /// Another holder has the lease, or a lease of some of its positions.
    Refused,
}

impl Dispatcher {
    /// Grants no leases until [`Dispatcher::opened`] is called.
    pub(super) fn wait_for_holdings(&mut self) {
        self.opening = Some(BTreeMap::new());
    }

    /// Starts granting leases: all peers have listed theirs.
    pub(super) fn opened(&mut self) {
        self.opening = None;
    }

    /// The leases of the coordinator's own workers.
    pub(super) fn held_here(&self) -> Vec<Lease> {
        let here = self.in_flight.iter().filter(|(_, lease)| lease.holder == Holder::Here);
        here.map(|(id, lease)| Lease {
            id: *id,
            lap: self.of.lap,
            first: Position(lease.positions.start),
            end: Position(lease.positions.end),
            after: self.after,
            unclean_stops: lease.record.unclean_stops,
            mode: LeaseMode::Run,
        })
        .collect()
    }

    /// Takes positions out of whatever they wait in: somebody runs them.
    fn take_out(&mut self, positions: &Range<u32>, key: Option<&Key>, now: Instant) {
        self.take_out_of_key_queues(positions, key, now);
        self.unassigned.remove(positions.clone());
        self.suspects.remove(positions);
        let overlapping: Vec<_> = self.retries.extract_if(.., |_, group| overlap(group, positions)).collect();
        for ((due, _), group) in overlapping {
            for rest in without(&group, positions) {
                self.add_retry(due, rest);
            }
        }
    }

    /// Adds a lease that an earlier coordinator granted, or confirms a known one.
    pub(super) fn adopt(&mut self, lease: &Lease, contact: Contact, now: Instant) -> Adoption {
        if let Some(known) = self.in_flight.get_mut(&lease.id) {
            if known.holder != contact.holder {
                return Adoption::Refused;
            }
            known.confirmed = known.confirmed.max(contact.live);
            if lease.end.0 < known.positions.end {
                self.shrink(lease.id, contact.holder, lease.end, now);
            }
            return Adoption::Known;
        }
        // Another node may have sent any range.
        let tasks = self.of.batch.folded().quilt.progress().tasks;
        let positions = lease.first.0..lease.end.0.min(tasks);
        let overlaps = |other: &InFlight| overlap(&other.positions, &positions);
        if lease.lap != self.of.lap || positions.is_empty() || self.in_flight.values().any(overlaps) {
            return Adoption::Refused;
        }
        let key = self.key_of(Position(positions.start));
        self.take_out(&positions, key.as_ref(), now);
        self.start_key(key.as_ref(), now);
        let in_flight = InFlight {
            holder: contact.holder,
            positions,
            record: Record::default(),
            since: now,
            charged: 0,
            confirmed: contact.live,
            exchange: contact.exchange,
            key,
            pick: Pick::of(SlotClass::Async),
        };
        self.in_flight.insert(lease.id, in_flight);
        let early = self.opening.as_mut().and_then(|early| early.remove(&lease.id));
        match early {
            Some(release) => {
                self.release(lease.id, contact.holder, release, now);
                Adoption::Known
            }
            None => Adoption::New,
        }
    }
}

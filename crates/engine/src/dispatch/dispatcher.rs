//! The dispatcher of one lap: which positions are unassigned, which wait for a retry, and who holds the others.
//!
//! Everything in here follows from the fold and from what the nodes hold, and is rebuilt from them when another node takes over.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use quilt::{OwnerId, Position, Priority, Status, Timestamp};
use rangemap::RangeSet;
use tokio::time::Instant;

use super::asker::{Asker, Holder};
use super::fair::nanos;
use super::keys::{Key, KeyQueues};
use super::lease::{LapId, Lease, Release, RetryGroup};
use super::suspects::{Record, Suspect, Suspects};
use super::validity::Validity;
use crate::clock::Clock;
use crate::journal::Sequence;
use crate::lease_id::LeaseId;
use crate::live::LiveBatch;
use crate::slots::SlotClass;

/// The longest delay before a task is tried again. A kind of work that asks for more gets this.
pub(super) const MAX_RETRY_DELAY: Duration = Duration::from_secs(24 * 3_600);

/// How long the first task of a batch runs alone: if it is over by then, the next chunks are as long as they should be.
const PROBE_TIME: Duration = Duration::from_millis(2);

/// The longest time for which a node is not asked to run a batch that it could not run.
const MAX_AVOID: Duration = Duration::from_secs(3_600);

/// The longest time until the time of day is compared with the start of a batch again, because it can be set.
const START_CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// What a lap is, for its dispatcher.
pub(crate) struct DispatchedLap {
    pub(crate) lap: LapId,
    pub(crate) owner: OwnerId,
    pub(crate) batch: Arc<LiveBatch>,
    /// Identifies this coordinator's term of office.
    pub(crate) epoch: u64,
    /// Ends when this node stops being the lap's coordinator.
    pub(crate) validity: Arc<Validity>,
    /// The time of day, which decides when a batch may start.
    pub(crate) clock: Clock,
}

/// Hands out the chunks of one lap.
pub(super) struct Dispatcher {
    pub(super) of: DispatchedLap,
    /// The slots that its tasks need.
    pub(super) class: SlotClass,
    /// The share of working time that the batch gets.
    pub(super) priority: Priority,
    /// No task starts before this moment.
    not_before: Option<Timestamp>,
    /// Positions that nobody holds. Those among them that are settled are skipped.
    pub(super) unassigned: RangeSet<u32>,
    /// Chunks whose workers were lost.
    pub(super) suspects: Suspects,
    /// Unassigned positions by the keys of their tasks, if they have any.
    pub(super) keys: Option<KeyQueues>,
    /// Positions that failed, by the time at which they are tried again. The number keeps times apart.
    pub(super) retries: BTreeMap<(Instant, u64), Range<u32>>,
    pub(super) in_flight: BTreeMap<LeaseId, InFlight>,
    /// The nodes that cannot run the batch, and until when they are not asked to.
    pub(super) avoided: BTreeMap<Holder, Instant>,
    /// How far the journal goes with what was written of the chunks that were released.
    pub(super) after: Sequence,
    counter: u64,
    /// When the first task was handed out of a batch of which nothing was measured.
    probed: Option<Instant>,
    /// While it is not known yet what others hold: the leases that were released meanwhile. Nothing is handed out.
    pub(super) opening: Option<BTreeMap<LeaseId, Release>>,
}

/// A lease that somebody holds.
pub(super) struct InFlight {
    pub(super) holder: Holder,
    pub(super) positions: Range<u32>,
    pub(super) record: Record,
    pub(super) since: Instant,
    /// Nanoseconds of working time that its owner was charged for it.
    pub(super) charged: i128,
    /// When its holder confirmed it last, by the time in which messages arrive.
    pub(super) confirmed: Duration,
    /// The exchange in which it was granted.
    pub(super) exchange: u64,
    /// The key of its task.
    pub(super) key: Option<Key>,
}

/// Whether a dispatcher has a chunk to hand out, and when that may change by itself.
pub(super) struct Readiness {
    pub(super) is_ready: bool,
    pub(super) wake: Option<Instant>,
}

impl Dispatcher {
    /// With all of these positions unassigned.
    pub(super) fn new(of: DispatchedLap, positions: Range<Position>) -> Self {
        let (priority, not_before) = {
            let folded = of.batch.folded();
            let spec = folded.quilt.spec();
            (spec.priority, spec.not_before.filter(|_| of.lap.lap == 1))
        };
        // Earlier outcomes and failed attempts are known here, and have to be where the chunks are run.
        let after = of.batch.folded().sequence;
        let keys = of.batch.keys().map(|keys| KeyQueues::new(keys.limits()));
        let mut dispatcher = Self {
            keys,
            class: of.batch.slot_class().unwrap_or(SlotClass::Async),
            of,
            priority,
            not_before,
            unassigned: RangeSet::new(),
            suspects: Suspects::default(),
            retries: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            avoided: BTreeMap::new(),
            after,
            counter: 0,
            probed: None,
            opening: None,
        };
        dispatcher.unassign(positions.start.0..positions.end.0);
        dispatcher
    }

    pub(super) fn unassign(&mut self, positions: Range<u32>) {
        if !positions.is_empty() {
            self.unassigned.insert(positions);
        }
    }

    /// Moves what is due to the unassigned positions.
    pub(super) fn readiness(&mut self, now: Instant) -> Readiness {
        self.avoided.retain(|_, until| *until > now);
        if let Some(left) = self.start_delay() {
            return Readiness { is_ready: false, wake: Some(now + left.min(START_CHECK_INTERVAL)) };
        }
        if !self.may_start() {
            return Readiness { is_ready: false, wake: None };
        }
        while let Some(due) = self.retries.first_entry().filter(|entry| entry.key().0 <= now) {
            let positions = due.remove();
            self.unassign(positions);
        }
        self.look_ahead(now);
        let has_work = self.has_unassigned() || !self.suspects.is_empty();
        let key = self.keys.as_ref().and_then(KeyQueues::next_time).filter(|_| !has_work);
        let retry = self.retries.first_key_value().map(|((due, _), _)| *due).filter(|_| !has_work);
        let probe = self.probe_end(now).filter(|_| has_work);
        let wake = self.avoided.values().min().copied().into_iter().chain(key).chain(retry).chain(probe).min();
        Readiness { is_ready: has_work && probe.is_none(), wake }
    }

    /// Until when the first task runs alone.
    fn probe_end(&self, now: Instant) -> Option<Instant> {
        let end = self.probed.filter(|_| !self.of.batch.estimate.is_known())? + PROBE_TIME;
        (now < end && !self.in_flight.is_empty()).then_some(end)
    }

    /// How long nothing may start yet. Computed each time, since the time of day can be set.
    pub(super) fn start_delay(&self) -> Option<Duration> {
        let left = self.not_before?.millis_since(self.of.clock.now());
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Whether one more task of the lap may be started. A coordinator that cannot renew that it is one may have been replaced.
    fn may_start(&self) -> bool {
        let gate = self.of.batch.gate();
        let is_full = gate.concurrency.is_some_and(|limit| self.in_flight.len() >= limit as usize);
        gate.lap == self.of.lap.lap
            && gate.status == Status::Running
            && !is_full
            && self.opening.is_none()
            && self.of.validity.holds()
    }

    /// Whether a node can be given a chunk that runs so many suspects.
    pub(super) fn can_serve(&self, asker: &Asker, suspects: u32) -> bool {
        let held = || self.in_flight.values().filter(|lease| lease.holder == asker.holder()).count();
        asker.class == self.class
            && asker.accepts(self.of.owner)
            && !self.avoided.contains_key(&asker.holder())
            && !(self.class == SlotClass::Async
                && self.of.batch.is_cpu_bound()
                && held() >= asker.cpu_bound_slots as usize)
            && (self.has_unassigned() || self.suspects.has_for(suspects))
            && self.may_start()
    }

    /// A lease that is held.
    pub(super) fn lease(&self, id: LeaseId) -> Option<&InFlight> {
        self.in_flight.get(&id)
    }

    /// The chunks that are suspected, and that nobody holds.
    pub(super) fn suspects(&self) -> impl Iterator<Item = &Suspect> {
        self.suspects.iter()
    }

    /// Takes chunks for suspected that an earlier process was running when it was killed.
    pub(super) fn suspect(&mut self, suspects: Vec<Suspect>) {
        let tasks = self.of.batch.folded().quilt.progress().tasks;
        for suspect in suspects {
            // Whatever is in the file: nothing is handed out twice.
            let Suspect { positions, record } = suspect;
            let all = positions.start..positions.end.min(tasks);
            let free: Vec<Range<u32>> = self.unassigned.overlapping(&all).cloned().collect();
            for part in free {
                let positions = part.start.max(all.start)..part.end.min(all.end);
                if !positions.is_empty() {
                    self.unassigned.remove(positions.clone());
                    self.suspects.push(Suspect { positions, record });
                }
            }
        }
    }

    /// Whether some chunks are suspects.
    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Hands out the next chunk. `None` where all positions are settled, held or not due.
    pub(super) fn claim(&mut self, asker: &Asker, suspects: u32, now: Instant) -> Option<Lease> {
        let Suspect { positions, record } = self.next_chunk(asker, suspects, now)?;
        let key = self.start_key(&positions, now);
        let is_poison = Suspect { positions: positions.clone(), record }.is_poison();
        self.counter += 1;
        self.probed.get_or_insert(now);
        let lease = Lease {
            id: LeaseId { epoch: self.of.epoch, number: self.counter },
            lap: self.of.lap,
            first: Position(positions.start),
            end: Position(positions.end),
            after: self.after,
            unclean_stops: record.unclean_stops,
            is_poison,
        };
        let charged = nanos(self.of.batch.estimate.expected(positions.len() as u32));
        let in_flight = InFlight {
            holder: asker.holder(),
            positions,
            record,
            since: now,
            charged,
            confirmed: asker.contact.live,
            exchange: asker.contact.exchange,
            key,
        };
        self.in_flight.insert(lease.id, in_flight);
        Some(lease)
    }

    fn next_chunk(&mut self, asker: &Asker, suspects: u32, now: Instant) -> Option<Suspect> {
        let batch = Arc::clone(&self.of.batch);
        let folded = batch.folded();
        let pending = |positions: &Range<u32>| {
            let mut pending = folded.quilt.pending_in(Position(positions.start)..Position(positions.end));
            pending.next().map(|first| first.0..positions.end)
        };
        let size = |positions: &Range<u32>| batch.chunk_size(positions.len() as u32, asker.workers).max(1);
        while let Some(Suspect { positions, record }) = self.suspects.pop_for(suspects) {
            let Some(mut positions) = pending(&positions) else { continue };
            // The tasks of a suspect are separated, until the cause is alone.
            let half = (positions.len() as u32).checked_shr(record.unclean_stops).unwrap_or(0).max(1);
            let most = if batch.estimate.is_known() { half.min(size(&positions)) } else { half };
            let most = if self.keys.is_some() { 1 } else { most };
            let cut = positions.end.min(positions.start + most);
            if cut < positions.end {
                self.suspects.push(Suspect { positions: cut..positions.end, record });
            }
            positions.end = cut;
            return Some(Suspect { positions, record });
        }
        if let Some(keys) = &mut self.keys {
            let next = || {
                let (position, _) = keys.pop(now)?;
                Some(position..position + 1)
            };
            let positions = std::iter::from_fn(next).find(|positions| pending(positions).is_some())?;
            return Some(Suspect { positions, record: Record::default() });
        }
        while let Some(positions) = self.unassigned.iter().next().cloned() {
            let chunk = pending(&positions).map(|left| left.start..left.end.min(left.start + size(&left)));
            let taken = positions.start..chunk.as_ref().map_or(positions.end, |chunk| chunk.end);
            self.unassigned.remove(taken);
            if let Some(positions) = chunk {
                return Some(Suspect { positions, record: Record::default() });
            }
        }
        None
    }

    /// The working time that was charged for a lease when it was granted.
    pub(super) fn expected(&self, lease: &Lease) -> i128 {
        self.in_flight.get(&lease.id).map_or(0, |lease| lease.charged)
    }

    /// Takes the tail of a lease back, from a position on.
    pub(super) fn shrink(&mut self, id: LeaseId, holder: Holder, end: Position) {
        let Some(lease) = self.in_flight.get_mut(&id).filter(|lease| lease.holder == holder) else { return };
        let end = end.0.clamp(lease.positions.start, lease.positions.end);
        let tail = end..std::mem::replace(&mut lease.positions.end, end);
        self.unassign(tail);
    }

    /// Ends a lease. Returns the working time that has not been charged yet, if the node held the lease.
    pub(super) fn release(&mut self, id: LeaseId, holder: Holder, release: Release, now: Instant) -> Option<i128> {
        if let (Some(early), false) = (&mut self.opening, self.in_flight.contains_key(&id)) {
            early.insert(id, release);
            return None;
        }
        self.in_flight.get(&id).filter(|lease| lease.holder == holder)?;
        let InFlight { positions, since, charged, key, .. } = self.in_flight.remove(&id)?;
        self.end_key(key, release.key_pause, now);
        let done_to = release.done_to.0.clamp(positions.start, positions.end);
        self.unassign(done_to..positions.end);
        for RetryGroup { first, end, delay } in release.retries {
            let group = first.0.max(positions.start)..end.0.min(done_to);
            if !group.is_empty() {
                self.counter += 1;
                self.retries.insert((now + delay.min(MAX_RETRY_DELAY), self.counter), group);
            }
        }
        self.after = self.after.max(release.after);
        if let Some(measured) = release.measured {
            let elapsed = measured.elapsed.min(now - since);
            self.of.batch.estimate.measured(measured.tasks, elapsed, measured.has_waited);
        }
        if let Some(time) = release.avoid {
            self.avoided.insert(holder, now + time.min(MAX_AVOID));
        }
        Some(nanos(now - since) - charged)
    }

    /// The working time of running leases since they were charged last.
    pub(super) fn accrue(&mut self, now: Instant) -> i128 {
        let mut sum = 0;
        for lease in self.in_flight.values_mut() {
            let more = (nanos(now - lease.since) - lease.charged).max(0);
            lease.charged += more;
            sum += more;
        }
        sum
    }

    /// Whether nobody holds a lease, and that is known.
    pub(super) fn is_drained(&self) -> bool {
        self.opening.is_none() && self.in_flight.is_empty()
    }

    /// The leases that are held.
    pub(super) fn leases(&mut self) -> impl Iterator<Item = (LeaseId, &mut InFlight)> {
        self.in_flight.iter_mut().map(|(id, lease)| (*id, lease))
    }

    /// Takes a lease back whose holder does not know of it.
    pub(super) fn reclaim(&mut self, id: LeaseId, now: Instant) -> Option<i128> {
        let InFlight { positions, since, charged, key, .. } = self.in_flight.remove(&id)?;
        self.end_key(key, None, now);
        self.unassign(positions);
        Some(nanos(now - since) - charged)
    }

    /// Takes a lease back whose holder is lost, together with so many in all, of which so many were suspects.
    pub(super) fn expire(&mut self, id: LeaseId, (lost, suspects): (u32, u32), now: Instant) -> Option<i128> {
        let InFlight { positions, record, since, charged, key, .. } = self.in_flight.remove(&id)?;
        self.end_key(key, None, now);
        let record = record.after_loss(lost, suspects);
        tracing::warn!(batch = %self.of.lap.batch, unclean_stops = record.unclean_stops, "a lease has expired: its worker is lost");
        self.suspects.push(Suspect { positions, record });
        Some(nanos(now - since) - charged)
    }

    /// How many suspects a node runs.
    pub(super) fn suspects_of(&self, holder: Holder) -> u32 {
        self.in_flight.values().filter(|lease| lease.holder == holder && lease.record.is_suspect()).count() as u32
    }

    /// Whether nothing of the lap is held, unassigned or waiting for its time.
    pub(super) fn is_exhausted(&self) -> bool {
        self.opening.is_none()
            && self.in_flight.is_empty()
            && self.unassigned.is_empty()
            && self.keys.as_ref().is_none_or(|keys| keys.waiting() == 0)
            && self.suspects.is_empty()
            && self.retries.is_empty()
    }

    /// Makes all positions unassigned that nobody holds.
    pub(super) fn requeue(&mut self, now: Instant) {
        self.empty_key_queues(now);
        let tasks = self.of.batch.folded().quilt.progress().tasks;
        self.unassign(0..tasks);
        for lease in self.in_flight.values() {
            self.unassigned.remove(lease.positions.clone());
        }
    }
}

//! The dispatcher of one lap: the positions that are unassigned, waiting for a retry, or leased.
//!
//! Its state follows from the journal and from the leases that nodes hold. A new coordinator rebuilds it from them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use quilt::{Position, Priority, Status, Timestamp};
use rangemap::RangeSet;
use tokio::time::Instant;

use super::asker::{Asker, Holder};
use super::class_order::Pick;
use super::fair::nanos;
use super::keys::{Key, KeyQueues};
use super::lease::{LapId, Lease, LeaseMode, Release};
use super::share_path::SharePath;
use super::suspects::{Record, Suspect, Suspects};
use super::validity::Validity;
use crate::clock::Clock;
use crate::estimate::MAX_CHUNK;
use crate::journal::Sequence;
use crate::lease_id::LeaseId;
use crate::live::LiveBatch;
use crate::slots::SlotClass;
use crate::work::Work;

/// The maximum delay before a retry. Longer delays are reduced to it.
pub(super) const MAX_RETRY_DELAY: Duration = Duration::from_secs(24 * 3_600);

/// How long the first chunk of a batch runs alone. If tasks end within this time, their running time determines the size of the next chunks.
pub(crate) const PROBE_TIME: Duration = Duration::from_millis(2);

/// The interval of checks whether a batch may start. The system clock can be set, so a single timer is not enough.
const START_CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// A lap with everything that its dispatcher needs.
pub(crate) struct DispatchedLap {
    pub(crate) lap: LapId,
    /// Where it stands in the sharing of working time.
    pub(crate) path: SharePath,
    pub(crate) batch: Arc<LiveBatch>,
    /// Identifies this coordinator's term of office.
    pub(crate) epoch: u64,
    /// Invalidated when this node stops coordinating the lap.
    pub(crate) validity: Arc<Validity>,
    /// The clock that decides when a batch may start.
    pub(crate) clock: Clock,
}

/// Hands out the chunks of one lap.
pub(super) struct Dispatcher {
    pub(super) of: DispatchedLap,
    /// The class of slots that its tasks need. `None` until a node has said so, where this one does not know the work.
    pub(super) class: Option<SlotClass>,
    /// The batch's share of working time.
    pub(super) priority: Priority,
    /// No task starts before this time.
    not_before: Option<Timestamp>,
    /// Positions without a lease. Settled positions among them are skipped.
    pub(super) unassigned: RangeSet<u32>,
    /// Chunks whose workers were lost.
    pub(super) suspects: Suspects,
    /// Unassigned positions by key, if the tasks have keys.
    pub(super) keys: Option<KeyQueues>,
    /// Failed positions by the time of their retry. The number makes times unique.
    pub(super) retries: BTreeMap<(Instant, u64), Range<u32>>,
    pub(super) in_flight: BTreeMap<LeaseId, InFlight>,
    /// The nodes that cannot run the batch, and when each may be tried again.
    pub(super) avoided: BTreeMap<Holder, Instant>,
    /// The sequence of the journal after the results of all released chunks.
    pub(super) after: Sequence,
    pub(super) counter: u64,
    /// Until when the first chunk runs alone, if the batch has no measurement.
    probe: Option<Instant>,
    /// While the leases of peers are unknown: early releases, by lease. No leases are granted in this state.
    pub(super) opening: Option<BTreeMap<LeaseId, Release>>,
}

/// A lease that is held.
pub(super) struct InFlight {
    pub(super) holder: Holder,
    pub(super) positions: Range<u32>,
    pub(super) record: Record,
    pub(super) since: Instant,
    /// The working time in nanoseconds that its owner has been charged for it.
    pub(super) charged: i128,
    /// The last confirmation by its holder, on the live clock.
    pub(super) confirmed: Duration,
    /// The exchange in which it was granted.
    pub(super) exchange: u64,
    /// The key of its task.
    pub(super) key: Option<Key>,
    /// How its time is charged.
    pub(super) pick: Pick,
}

/// Whether a dispatcher has work to grant, and when that may change without an event.
pub(super) struct Readiness {
    pub(super) is_ready: bool,
    pub(super) wake: Option<Instant>,
}

impl Dispatcher {
    /// With all these positions unassigned.
    pub(super) fn new(of: DispatchedLap, positions: Range<Position>) -> Self {
        let (priority, not_before) = {
            let folded = of.batch.folded();
            let spec = folded.quilt.spec();
            (spec.priority, spec.not_before.filter(|_| of.lap.lap == 1))
        };
        // The journal up to this sequence contains earlier outcomes and failed attempts, so workers must apply it.
        let after = of.batch.folded().sequence;
        let keys = of.batch.keys().map(|keys| KeyQueues::new(keys.limits()));
        let mut dispatcher = Self {
            keys,
            class: of.batch.slot_class(),
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
            probe: None,
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

    /// Moves positions whose retry is due to the unassigned ones, and returns the readiness.
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
        let has_unassigned = self.has_unassigned();
        let has_work = has_unassigned || !self.suspects.is_empty();
        // Also beside suspects: few of them may run at the same time.
        let key = self.keys.as_ref().and_then(KeyQueues::next_time).filter(|_| !has_unassigned);
        let retry = self.retries.first_key_value().map(|((due, _), _)| *due).filter(|_| !has_unassigned);
        let probe = self.probe_end(now).filter(|_| has_work);
        let wake = self.avoided.values().min().copied().into_iter().chain(key).chain(retry).chain(probe).min();
        Readiness { is_ready: has_work && probe.is_none(), wake }
    }

    /// When the probe of the first chunk ends, if it is running.
    fn probe_end(&self, now: Instant) -> Option<Instant> {
        let end = self.probe.filter(|_| !self.of.batch.estimate.is_known())?;
        (now < end && !self.in_flight.is_empty()).then_some(end)
    }

    /// Whether the next lease is a probe of as many tasks as possible. Only tasks that may wait are probed, because the rest is given back as
    /// soon as one does. A probe on another node may take seconds to start, and would hold up all tasks.
    fn is_probe(&self, asker: &Asker) -> bool {
        let batch = &self.of.batch;
        self.probe.is_none()
            && asker.holder() == Holder::Here
            && !batch.estimate.is_known()
            && matches!(batch.work, Ok(Work::Async(_)))
    }

    /// Lets other chunks start although the first one has not ended.
    pub(super) fn end_probe(&mut self, now: Instant) {
        self.probe = self.probe.map(|end| end.min(now));
    }

    /// The time until the batch may start. Computed at each call, because the system clock can be set.
    pub(super) fn start_delay(&self) -> Option<Duration> {
        let left = self.not_before?.millis_since(self.of.clock.now());
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Whether one more task of the lap may start. A coordinator that cannot renew may have been replaced.
    fn may_start(&self) -> bool {
        let gate = self.of.batch.gate();
        let is_full = gate.concurrency.is_some_and(|limit| self.in_flight.len() >= limit as usize);
        gate.lap == self.of.lap.lap
            && gate.status == Status::Running
            && !is_full
            && self.opening.is_none()
            && self.of.validity.holds()
    }

    /// Whether a node that is running `suspects` suspects can be granted a chunk.
    pub(super) fn can_serve(&self, asker: &Asker, suspects: u32) -> bool {
        let held = || self.in_flight.values().filter(|lease| lease.holder == asker.holder()).count();
        self.class.is_none_or(|class| class == asker.class)
            && asker.accepts(self.of.path.group)
            && !self.avoided.contains_key(&asker.holder())
            && !(asker.class == SlotClass::Async
                && self.of.batch.is_cpu_bound()
                && held() >= asker.cpu_bound_slots as usize)
            && (self.has_unassigned() || self.suspects.has_for(suspects))
            && self.may_start()
    }

    /// A lease that is held.
    pub(super) fn lease(&self, id: LeaseId) -> Option<&InFlight> {
        self.in_flight.get(&id)
    }

    /// The suspects without a lease.
    pub(super) fn suspects(&self) -> impl Iterator<Item = &Suspect> {
        self.suspects.iter()
    }

    /// Marks chunks as suspects that an earlier process was running when it was killed.
    pub(super) fn suspect(&mut self, suspects: Vec<Suspect>) {
        let tasks = self.of.batch.folded().quilt.progress().tasks;
        for suspect in suspects {
            // The file may contain anything. Only unassigned positions are used, so that no position is granted twice.
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

    /// Whether there are suspects without a lease.
    pub(super) fn has_waiting_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Grants a lease of the next chunk. `None` if all positions are settled, leased or not due.
    pub(super) fn claim(&mut self, asker: &Asker, suspects: u32, now: Instant) -> Option<Lease> {
        let (chunk, key) = self.next_chunk(asker, suspects, now)?;
        let mode = match self.probe {
            _ if chunk.is_poison() => LeaseMode::FailAsPoison,
            None if self.is_probe(asker) => LeaseMode::Probe,
            None | Some(_) => LeaseMode::Run,
        };
        let Suspect { positions, record } = chunk;
        self.start_key(key.as_ref(), now);
        self.counter += 1;
        self.probe.get_or_insert(now + PROBE_TIME);
        let lease = Lease {
            id: LeaseId { epoch: self.of.epoch, number: self.counter },
            lap: self.of.lap,
            first: Position(positions.start),
            end: Position(positions.end),
            after: self.after,
            unclean_stops: record.unclean_stops,
            mode,
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
            pick: Pick::of(asker.class),
        };
        self.in_flight.insert(lease.id, in_flight);
        Some(lease)
    }

    /// The next chunk, with the key of its task if it has one.
    fn next_chunk(&mut self, asker: &Asker, suspects: u32, now: Instant) -> Option<(Suspect, Option<Key>)> {
        let batch = Arc::clone(&self.of.batch);
        let folded = batch.folded();
        let pending = |positions: &Range<u32>| {
            let mut pending = folded.quilt.pending_in(Position(positions.start)..Position(positions.end));
            pending.next().map(|first| first.0..positions.end)
        };
        let is_probe = self.is_probe(asker);
        let size = |positions: &Range<u32>| match positions.len() as u32 {
            left if is_probe => left.min(MAX_CHUNK),
            left => batch.chunk_size(left, asker.workers).max(1),
        };
        while let Some(Suspect { positions, record }) = self.suspects.pop_for(suspects) {
            let Some(mut positions) = pending(&positions) else { continue };
            // The tasks of a suspect are divided further with each loss, until the cause is alone.
            let half = (positions.len() as u32).checked_shr(record.unclean_stops).unwrap_or(0).max(1);
            let most = if batch.estimate.is_known() { half.min(size(&positions)) } else { half };
            let most = if self.keys.is_some() { 1 } else { most };
            let cut = positions.end.min(positions.start + most);
            if cut < positions.end {
                self.suspects.push(Suspect { positions: cut..positions.end, record });
            }
            positions.end = cut;
            let key = self.key_of(Position(positions.start));
            return Some((Suspect { positions, record }, key));
        }
        let record = Record::default();
        if self.keys.is_some() {
            let is_pending = |position: u32| pending(&(position..position + 1)).is_some();
            let mut queued = std::iter::from_fn(|| self.pop_key_queue(now));
            let (position, key) = queued.find(|(position, _)| is_pending(*position))?;
            return Some((Suspect { positions: position..position + 1, record }, key));
        }
        while let Some(positions) = self.unassigned.iter().next().cloned() {
            let chunk = pending(&positions).map(|left| left.start..left.end.min(left.start + size(&left)));
            let taken = positions.start..chunk.as_ref().map_or(positions.end, |chunk| chunk.end);
            self.unassigned.remove(taken);
            if let Some(positions) = chunk {
                return Some((Suspect { positions, record }, None));
            }
        }
        None
    }

    /// The working time that was charged when the lease was granted.
    pub(super) fn expected(&self, lease: &Lease) -> i128 {
        self.in_flight.get(&lease.id).map_or(0, |lease| lease.charged)
    }

    /// Charges running leases for the working time since their last charge. Returns the sums in nanoseconds; few leases differ in their picks.
    pub(super) fn accrue(&mut self, now: Instant) -> Vec<(Pick, i128)> {
        let mut sums: Vec<(Pick, i128)> = Vec::new();
        for lease in self.in_flight.values_mut() {
            let more = (nanos(now - lease.since) - lease.charged).max(0);
            lease.charged += more;
            match sums.iter_mut().find(|(pick, _)| *pick == lease.pick) {
                Some((_, sum)) => *sum += more,
                None => sums.push((lease.pick, more)),
            }
        }
        sums
    }

    /// Records how the time of a lease is charged.
    pub(super) fn set_pick(&mut self, id: LeaseId, pick: Pick) {
        if let Some(lease) = self.in_flight.get_mut(&id) {
            lease.pick = pick;
        }
    }

    /// Whether no leases are held, as far as the leases of peers are known.
    pub(super) fn is_drained(&self) -> bool {
        self.opening.is_none() && self.in_flight.is_empty()
    }

    /// All leases.
    pub(super) fn leases(&mut self) -> impl Iterator<Item = (LeaseId, &mut InFlight)> {
        self.in_flight.iter_mut().map(|(id, lease)| (*id, lease))
    }

    /// The number of suspects that a node is running.
    pub(super) fn suspects_of(&self, holder: Holder) -> u32 {
        self.in_flight.values().filter(|lease| lease.holder == holder && lease.record.is_suspect()).count() as u32
    }

    /// Whether any node is running suspects.
    pub(super) fn is_running_suspects(&self) -> bool {
        self.in_flight.values().any(|lease| lease.record.is_suspect())
    }

    /// Whether no positions of the lap are leased, unassigned or waiting for a retry.
    pub(super) fn is_exhausted(&self) -> bool {
        self.opening.is_none()
            && self.in_flight.is_empty()
            && self.unassigned.is_empty()
            && self.keys.as_ref().is_none_or(|keys| keys.waiting() == 0)
            && self.suspects.is_empty()
            && self.retries.is_empty()
    }

    /// Makes all positions without a lease unassigned.
    pub(super) fn requeue(&mut self, now: Instant) {
        self.empty_key_queues(now);
        let tasks = self.of.batch.folded().quilt.progress().tasks;
        self.unassign(0..tasks);
        for lease in self.in_flight.values() {
            self.unassigned.remove(lease.positions.clone());
        }
    }
}

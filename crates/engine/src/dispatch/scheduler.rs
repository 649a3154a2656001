//! The scheduler of one node: the dispatchers of the laps that it coordinates, in the order in which they are served.
//!
//! All groups get the same working time, so do all owners of one group and all batches of one owner, according to their weights. A lap that is paused, full, or
//! waiting for a retry is not in the order, and costs nothing until something changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quilt::Position;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::adoption::Adoption;
use super::asker::{Asker, Contact, Holder};
use super::crash_log::CrashLog;
use super::dispatcher::{DispatchedLap, Dispatcher, InFlight};
use super::lease::{LapId, Lease, Release};
use super::lease_end::Ended;
use super::running_log::RunningLog;
use super::schedule::{Granted, Schedule};
use super::suspects::Suspect;
use super::validity::Validity;
use super::waiting::Waiting;
use crate::lease_id::LeaseId;
use crate::slots::{BySlotClass, SlotClass, Slots};

/// How long a lease of a peer is valid without confirmation, and a coordinator's hold on a lap without renewal.
pub const LEASE_TTL: Duration = Duration::from_secs(15);

/// Grants leases of the laps that this node coordinates.
pub(crate) struct Scheduler {
    state: Mutex<Schedule>,
    /// Wakes workers that wait for work.
    changed: BySlotClass<Notify>,
    /// Notified when the earliest wake time becomes earlier.
    sooner: Notify,
    /// The number of groups with ready work, by slot class.
    ready: watch::Sender<Slots>,
    /// Changes when a lease has ended.
    ended: watch::Sender<()>,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: BySlotClass::default(),
            sooner: Notify::new(),
            ready: watch::Sender::new(Slots::default()),
            ended: watch::Sender::new(()),
        }
    }
}

impl Scheduler {
    /// Records running chunks in a crash log, and suspects the chunks that an earlier process was running when it was killed.
    pub(crate) fn record_in(&self, log: CrashLog, suspected: Vec<(LapId, Suspect)>) {
        self.state().log = RunningLog::new(log, suspected);
    }

    /// Drops the suspects of laps that are no longer running.
    pub(crate) fn retain_suspects(&self, runs: impl Fn(LapId) -> bool) {
        self.state().log.retain(runs);
    }

    /// Opens a lap: its positions can be claimed. Settled positions are skipped.
    pub(crate) fn open(&self, lap: DispatchedLap, positions: Range<Position>) {
        self.open_with(Dispatcher::new(lap, positions), Vec::new);
    }

    /// Opens a lap of which other nodes may hold leases. It grants no leases before [`Scheduler::opened`] is called. `own` returns the
    /// leases of this node's own workers, and their results if they were released; no worker can release a lease while it runs.
    pub(crate) fn adopt(
        &self,
        lap: DispatchedLap,
        positions: Range<Position>,
        own: impl FnOnce() -> Vec<(Lease, Option<Release>)>,
    ) {
        let mut dispatcher = Dispatcher::new(lap, positions);
        dispatcher.wait_for_holdings();
        self.open_with(dispatcher, own);
    }

    fn open_with(&self, mut dispatcher: Dispatcher, own: impl FnOnce() -> Vec<(Lease, Option<Release>)>) {
        let lap = dispatcher.of.lap;
        self.change(|state, now| {
            if state.dispatchers.contains_key(&lap) {
                tracing::error!(batch = %lap.batch, "it is handed out already");
                return;
            }
            dispatcher.suspect(state.log.take(lap));
            state.dispatchers.insert(lap, dispatcher);
            state.refresh(lap, now);
            for (lease, release) in own() {
                state.adopt(&lease, Contact::HERE, now);
                if let Some(release) = release {
                    state.release(lap, lease.id, Holder::Here, release, now);
                }
            }
        });
    }

    /// Adds the leases that other nodes hold of a lap, and starts granting the rest.
    pub(crate) fn opened(&self, lap: LapId, held: &[(Contact, Vec<Lease>)]) {
        self.change(|state, now| {
            for (contact, leases) in held {
                for lease in leases {
                    state.adopt(lease, *contact, now);
                }
            }
            if let Some(dispatcher) = state.dispatchers.get_mut(&lap) {
                dispatcher.opened();
            }
            state.refresh(lap, now);
        });
    }

    /// Whether this node has a dispatcher of a lap.
    pub(crate) fn is_open(&self, lap: LapId) -> bool {
        self.state().dispatchers.contains_key(&lap)
    }

    /// Closes a lap. Its leases are dropped. `keep` receives the leases of this node's own workers; none of them can be released while it
    /// runs.
    pub(crate) fn close(&self, lap: LapId, keep: impl FnOnce(Vec<Lease>, &Arc<Validity>)) {
        self.change(|state, now| {
            if let Some((held, validity)) = state.close(lap, now) {
                keep(held, &validity);
            }
        });
        self.ended.send_replace(());
    }

    /// Updates a lap after a change of its batch.
    pub(crate) fn refresh(&self, lap: LapId) {
        self.change(|state, now| state.refresh(lap, now));
    }

    /// Grants a lease of the next chunk to a node, if there is one.
    pub(crate) fn claim(&self, asker: &Asker) -> Option<Granted> {
        let (granted, ready) = self.update(|state, now| state.claim(asker, now));
        // A worker that was granted a chunk no longer waits, so another one must be woken for the remaining work. A worker without a chunk
        // waits for the next change.
        if granted.is_some() && ready[asker.class] > 0 {
            self.changed[asker.class].notify_one();
        }
        granted
    }

    /// Shortens a lease. Its tail, from a position on, becomes unassigned.
    pub(crate) fn shrink(&self, lap: LapId, lease: LeaseId, holder: Holder, end: Position) {
        self.change(|state, now| {
            if let Some(dispatcher) = state.dispatchers.get_mut(&lap) {
                dispatcher.shrink(lease, holder, end, now);
                state.log.shrink(lease, dispatcher);
                state.refresh(lap, now);
            }
        });
    }

    /// Ends a lease. Returns whether this node has a dispatcher of its lap. Has no effect if the lease is not held.
    pub(crate) fn release(&self, lap: LapId, lease: LeaseId, holder: Holder, release: Release) -> bool {
        let is_open = self.change(|state, now| state.release(lap, lease, holder, release, now));
        self.ended.send_replace(());
        is_open
    }

    /// Waits until a lap with tasks of a slot class may have become ready.
    pub(crate) fn changed(&self, class: SlotClass) -> Notified<'_> {
        self.changed[class].notified()
    }

    /// Makes laps ready when their wake times come, as long as it is polled.
    pub(crate) async fn run_timers(&self) {
        loop {
            let mut sooner = std::pin::pin!(self.sooner.notified());
            sooner.as_mut().enable();
            let wake = self.state().next_wake();
            let time = async {
                match wake {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = sooner => {}
                () = time => self.change(|_, _| ()),
            }
        }
    }

    /// Subscribes to the number of groups with ready work, by slot class.
    pub(crate) fn ready(&self) -> watch::Receiver<Slots> {
        self.ready.subscribe()
    }

    /// Waits until no leases of a lap are held. Returns `false` if this node has no dispatcher of the lap.
    pub(crate) async fn drained(&self, lap: LapId) -> bool {
        let mut ended = self.ended.subscribe();
        loop {
            match self.state().dispatchers.get(&lap).map(Dispatcher::is_drained) {
                None => return false,
                Some(true) => return true,
                Some(false) => {}
            }
            if ended.changed().await.is_err() {
                return false;
            }
        }
    }

    /// Charges laps, their owners and groups for running work.
    pub(crate) fn accrue(&self) {
        self.state().accrue(Instant::now());
    }

    /// Confirms all leases after an interruption of messages.
    pub(crate) fn confirm_all(&self, live: Duration) {
        for dispatcher in self.state().dispatchers.values_mut() {
            dispatcher.leases().for_each(|(_, lease)| lease.confirmed = live);
        }
    }

    /// Expires the leases of peers that have not confirmed them for [`LEASE_TTL`], in time during which messages arrive.
    pub(crate) fn expire(&self, live: Duration) {
        let is_expired = |_: LeaseId, lease: &InFlight| {
            matches!(lease.holder, Holder::Peer(_)) && live.saturating_sub(lease.confirmed) >= LEASE_TTL
        };
        // For each lost node, the number of its leases, and of suspects among them.
        let mut lost: BTreeMap<Holder, (u32, u32)> = BTreeMap::new();
        for dispatcher in self.state().dispatchers.values_mut() {
            for (_, lease) in dispatcher.leases().filter(|(id, lease)| is_expired(*id, lease)) {
                let (leases, suspects) = lost.entry(lease.holder).or_default();
                *leases += 1;
                *suspects += u32::from(lease.record.is_suspect());
            }
        }
        for (holder, counts) in lost {
            let is_its = |id, lease: &InFlight| lease.holder == holder && is_expired(id, lease);
            self.take_back(is_its, |dispatcher, id, now| dispatcher.expire(id, counts, now));
        }
    }

    /// Confirms the leases that a peer holds. Leases that it was granted before this exchange and does not list did not reach it, and end.
    /// Returns the listed leases that it does not hold.
    pub(crate) fn confirm(&self, contact: Contact, held: &[Lease]) -> Vec<LeaseId> {
        let is_held: BTreeSet<LeaseId> = held.iter().map(|lease| lease.id).collect();
        let is_unknown = |id, lease: &InFlight| {
            lease.holder == contact.holder && lease.exchange < contact.exchange && !is_held.contains(&id)
        };
        self.take_back(is_unknown, Dispatcher::reclaim);
        self.change(|state, now| {
            let is_lost = |lease: &&Lease| state.adopt(lease, contact, now) == Adoption::Refused;
            held.iter().filter(is_lost).map(|lease| lease.id).collect()
        })
    }

    /// Makes all positions of a lap without a lease unassigned. For a lap that is exhausted and has not ended.
    pub(crate) fn requeue_lost(&self, lap: LapId) {
        self.change(|state, now| {
            if let Some(dispatcher) = state.dispatchers.get_mut(&lap) {
                dispatcher.requeue(now);
                state.refresh(lap, now);
            }
        });
    }

    /// The reason why a task is pending, if this node coordinates its lap. `working` returns the nodes with slots of a class.
    pub(crate) fn why(
        &self,
        lap: LapId,
        position: Position,
        working: impl Fn(SlotClass) -> Vec<Holder>,
    ) -> Option<Waiting> {
        let state = self.state();
        let dispatcher = state.dispatchers.get(&lap)?;
        let nodes: Vec<Holder> = match dispatcher.class {
            Some(class) => working(class),
            None => SlotClass::ALL.into_iter().flat_map(working).collect(),
        };
        Some(dispatcher.why(position, &nodes, Instant::now()))
    }

    /// Whether no positions of a lap are leased, unassigned or waiting for a retry.
    pub(crate) fn is_exhausted(&self, lap: LapId) -> bool {
        self.state().dispatchers.get(&lap).is_some_and(Dispatcher::is_exhausted)
    }

    fn take_back(
        &self,
        is_meant: impl Fn(LeaseId, &InFlight) -> bool,
        end: impl Fn(&mut Dispatcher, LeaseId, Instant) -> Option<Ended>,
    ) {
        let meant: Vec<(LapId, LeaseId)> = {
            let mut state = self.state();
            let of_lap = |(lap, dispatcher): (&LapId, &mut Dispatcher)| {
                let lap = *lap;
                let meant = dispatcher.leases().filter(|(id, lease)| is_meant(*id, lease));
                meant.map(move |(id, _)| (lap, id)).collect::<Vec<_>>()
            };
            state.dispatchers.iter_mut().flat_map(of_lap).collect()
        };
        for (lap, lease) in meant {
            self.change(|state, now| state.end_lease(lap, lease, now, |dispatcher| end(dispatcher, lease, now)));
        }
        self.ended.send_replace(());
    }

    /// Changes the state, and wakes a worker if there is work.
    fn change<T>(&self, change: impl FnOnce(&mut Schedule, Instant) -> T) -> T {
        let (result, ready) = self.update(change);
        for class in SlotClass::ALL {
            if ready[class] > 0 {
                self.changed[class].notify_one();
            }
        }
        result
    }

    /// Changes the state. Also returns the number of groups with ready work.
    fn update<T>(&self, change: impl FnOnce(&mut Schedule, Instant) -> T) -> (T, Slots) {
        let now = Instant::now();
        let mut state = self.state();
        let wake = state.next_wake();
        state.promote(now);
        let result = change(&mut state, now);
        let ready = state.ready();
        let is_sooner = state.next_wake().is_some_and(|at| wake.is_none_or(|before| at < before));
        // Subscribers only need to know whether there is ready work.
        self.ready.send_if_modified(|known| {
            let is_same = |class| (known[class] == 0) == (ready[class] == 0);
            let is_modified = !SlotClass::ALL.into_iter().all(is_same);
            *known = ready;
            is_modified
        });
        drop(state);
        if is_sooner {
            self.sooner.notify_one();
        }
        (result, ready)
    }

    fn state(&self) -> MutexGuard<'_, Schedule> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

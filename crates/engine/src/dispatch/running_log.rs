//! Updates the crash log when leases of this process are granted and released.

use std::collections::BTreeMap;

use super::crash_log::{CrashLog, Slot};
use super::dispatcher::Dispatcher;
use super::lease::LapId;
use super::suspects::Suspect;
use crate::lease_id::LeaseId;

/// The crash log, if there is one, and its records by lease.
#[derive(Default)]
pub(super) struct RunningLog {
    log: Option<CrashLog>,
    /// Suspects from an earlier process, until their laps are opened.
    suspected: BTreeMap<LapId, Vec<Suspect>>,
    running: BTreeMap<(LapId, LeaseId), Slot>,
    waiting: BTreeMap<LapId, Vec<Slot>>,
}

impl RunningLog {
    pub(super) fn new(log: CrashLog, suspected: Vec<(LapId, Suspect)>) -> Self {
        let mut entries = Self { log: Some(log), ..Self::default() };
        for (lap, suspect) in suspected {
            tracing::warn!(batch = %lap.batch, "this task was running when the process was killed");
            entries.remember(lap, &suspect);
            entries.suspected.entry(lap).or_default().push(suspect);
        }
        entries
    }

    fn remember(&mut self, lap: LapId, suspect: &Suspect) {
        if let Some(log) = &mut self.log {
            let slot = log.wait(lap, &suspect.positions, suspect.record);
            self.waiting.entry(lap).or_default().push(slot);
        }
    }

    /// Removes and returns the suspects of a lap from an earlier process.
    pub(super) fn take(&mut self, lap: LapId) -> Vec<Suspect> {
        self.suspected.remove(&lap).unwrap_or_default()
    }

    /// Drops the suspects of laps that are no longer running.
    pub(super) fn retain(&mut self, runs: impl Fn(LapId) -> bool) {
        let gone: Vec<LapId> = self.suspected.keys().copied().filter(|lap| !runs(*lap)).collect();
        for lap in gone {
            self.suspected.remove(&lap);
            self.end_waiting(lap);
        }
    }

    /// Records that a lease was granted to a worker of this process.
    pub(super) fn start(&mut self, id: LeaseId, dispatcher: &Dispatcher) {
        let (Some(log), Some(lease)) = (&mut self.log, dispatcher.lease(id)) else { return };
        let lap = dispatcher.of.lap;
        self.running.insert((lap, id), log.start(lap, &lease.positions, lease.record));
        if lease.record.is_suspect() {
            self.end_waiting(lap);
            dispatcher.suspects().for_each(|suspect| self.remember(lap, suspect));
        }
    }

    /// Records that a lease was shortened.
    pub(super) fn shrink(&mut self, id: LeaseId, dispatcher: &Dispatcher) {
        let (Some(log), Some(lease)) = (&mut self.log, dispatcher.lease(id)) else { return };
        if let Some(slot) = self.running.get(&(dispatcher.of.lap, id)) {
            log.shrink(*slot, dispatcher.of.lap, &lease.positions, lease.record);
        }
    }

    /// Records that a lease has ended.
    pub(super) fn end(&mut self, lap: LapId, id: LeaseId) {
        if let (Some(log), Some(slot)) = (&mut self.log, self.running.remove(&(lap, id))) {
            log.end(slot);
        }
    }

    /// Removes the suspects of a lap.
    pub(super) fn end_waiting(&mut self, lap: LapId) {
        let slots = self.waiting.remove(&lap).unwrap_or_default();
        if let Some(log) = &mut self.log {
            slots.into_iter().for_each(|slot| log.end(slot));
        }
    }
}

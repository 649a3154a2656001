//! The changes of a quilt, in order.
//!
//! A [`Quilt`] has the current state. A reader that has an earlier state needs the changes since then. The history stores 8 bytes per
//! change and returns them as events, so that readers fold them with the same code. It discards most old changes when a lap starts; readers
//! that are further behind need the whole quilt.

use crate::cell::Cell;
use crate::event::{Control, Event, Settlement};
use crate::lap::{CancelCause, Cancellation, LapEnd, LapLimits, LapSet};
use crate::order::Position;
use crate::square_state::SquareState;
use crate::state::{Change, Quilt, Step};
use crate::summary::Progress;
use crate::timestamp::Timestamp;

/// A change with the state at that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'quilt> {
    /// A square got this outcome in this lap. A later lap may run it again.
    Settled(u32, Position, SquareState<'quilt>),
    /// A lap crossed its finish line with these counts.
    Finished(Progress),
    /// This lap started with these squares.
    LapStarted(u32, &'quilt LapSet),
    /// The batch was paused or resumed, or its concurrency changed.
    Controlled(Control),
    /// No more tasks of the lap start.
    Draining,
    /// This lap was cancelled.
    Cancelled(u32),
}

/// The number of changes that remain when a lap starts, unless a quarter of the squares is more.
const KEPT: usize = 4_096;

/// How many changes are allocated at once when the capacity is exhausted.
const ROOM: usize = 64;

/// A change in 8 bytes: its kind in the lowest three bits, its data above them.
#[derive(Debug, Clone, Copy)]
struct Packed(u64);

/// A decoded [`Packed`] change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    Settled(Position, Cell),
    Finished,
    LapStarted,
    Controlled(Control),
    Draining,
    Cancelled,
}

impl From<Record> for Packed {
    fn from(record: Record) -> Self {
        Self(match record {
            // Positions have at most 20 bits.
            Record::Settled(position, cell) => u64::from(position.0) << 35 | u64::from(cell.0) << 3,
            Record::Finished => 1,
            Record::LapStarted => 2,
            Record::Cancelled => 3,
            Record::Controlled(Control::Pause) => 4,
            Record::Controlled(Control::Resume) => 5,
            Record::Controlled(Control::SetConcurrency(limit)) => limit.map_or(0, u64::from) << 3 | 6,
            Record::Draining => 7,
        })
    }
}

impl From<Packed> for Record {
    fn from(Packed(bits): Packed) -> Self {
        match bits & 0b111 {
            0 => Self::Settled(Position((bits >> 35) as u32), Cell((bits >> 3) as u32)),
            1 => Self::Finished,
            2 => Self::LapStarted,
            3 => Self::Cancelled,
            4 => Self::Controlled(Control::Pause),
            5 => Self::Controlled(Control::Resume),
            7 => Self::Draining,
            _ => Self::Controlled(Control::SetConcurrency(Some((bits >> 3) as u32).filter(|limit| *limit > 0))),
        }
    }
}

/// The changes of a quilt. Always contains those of the current lap.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The number of discarded changes.
    start: u64,
    records: Vec<Packed>,
    /// The starts of laps after the first, without discarded ones.
    lap_starts: Vec<LapStart>,
    /// The number of discarded starts of laps.
    forgotten_laps: u32,
}

/// The start of a lap after the first.
#[derive(Debug, Clone)]
struct LapStart {
    /// The step before the start.
    step: u64,
    set: LapSet,
    limits: Option<LapLimits>,
}

impl History {
    /// The history of a new quilt. Allocates memory for one lap; the system maps its pages on first use.
    #[must_use]
    pub fn new(quilt: &Quilt) -> Self {
        let records = Vec::with_capacity(quilt.progress().tasks as usize + 1);
        Self { start: 0, records, lap_starts: Vec::new(), forgotten_laps: 0 }
    }

    /// Appends the changes that [`Quilt::apply`] returned for an event. `quilt` is the state after the event.
    pub fn record(&mut self, quilt: &Quilt, event: &Event, changes: &[Change]) {
        for change in changes {
            let record = match *change {
                Change::Settled(position) => Record::Settled(position, quilt.cell(position)),
                Change::Finished => Record::Finished,
                Change::LapStarted => {
                    self.make_room(quilt);
                    if let Event::LapStarted { set, limits, .. } = event {
                        self.lap_starts.push(LapStart { step: self.step().0, set: set.clone(), limits: *limits });
                    }
                    Record::LapStarted
                }
                Change::Controlled(control) => Record::Controlled(control),
                Change::Draining => Record::Draining,
                Change::Cancelled => Record::Cancelled,
            };
            // The capacity covers a lap without controls. Doubling it for a few controls would waste memory.
            if self.records.len() == self.records.capacity() {
                self.records.reserve_exact(ROOM);
            }
            self.records.push(record.into());
        }
    }

    /// Discards old changes, and allocates memory for the starting lap.
    fn make_room(&mut self, quilt: &Quilt) {
        let tasks = quilt.progress().tasks as usize;
        let kept = KEPT.max(tasks / 4);
        self.forget_until(self.step().0.saturating_sub(kept as u64));
        // Lists of squares may take at most as much memory as the cells.
        let most_bytes = size_of::<Cell>() * tasks;
        while self.lap_starts.iter().map(|start| start.set.bytes()).sum::<usize>() > most_bytes
            && let Some(oldest) = self.lap_starts.first()
        {
            self.forget_until(oldest.step + 1);
        }
        let needed = quilt.lap().tasks as usize + 2;
        self.records.shrink_to(self.records.len() + needed);
        self.records.reserve_exact(needed);
    }

    /// Discards the changes up to a step.
    fn forget_until(&mut self, step: u64) {
        let forgotten = (step.saturating_sub(self.start) as usize).min(self.records.len());
        self.records.drain(..forgotten);
        self.start += forgotten as u64;
        let laps = self.lap_starts.partition_point(|start| start.step < self.start);
        self.lap_starts.drain(..laps);
        self.forgotten_laps += laps as u32;
    }

    /// The step after the last change.
    #[must_use]
    pub fn step(&self) -> Step {
        Step(self.start + self.records.len() as u64)
    }

    /// Whether the history has all changes after this step.
    #[must_use]
    pub fn reaches(&self, after: Step) -> bool {
        after.0 >= self.start
    }

    /// The changes after a step, each with its own step. The history must reach the step.
    pub fn entries<'a>(&'a self, quilt: &'a Quilt, after: Step) -> impl Iterator<Item = (Step, Entry<'a>)> + 'a {
        let after = self.within(after);
        let mut lap = self.lap_at(after);
        let steps = (after.0 + 1..).map(Step);
        steps.zip(self.records_after(after)).map(move |(step, record)| {
            let entry = match record {
                Record::Settled(position, cell) => Entry::Settled(lap, position, quilt.read(cell)),
                Record::Finished => Entry::Finished(progress_at_finish(quilt, lap)),
                Record::LapStarted => {
                    lap += 1;
                    Entry::LapStarted(lap, self.lap_start(lap).map_or(&LapSet::Failed, |start| &start.set))
                }
                Record::Controlled(control) => Entry::Controlled(control),
                Record::Draining => Entry::Draining,
                Record::Cancelled => Entry::Cancelled(lap),
            };
            (step, entry)
        })
    }

    /// The end of a batch of about `most` changes after a step. Does not separate a settlement from the change that it causes.
    #[must_use]
    pub fn reach(&self, after: Step, most: u64) -> Step {
        let upto = Step(after.0.saturating_add(most)).min(self.step());
        let follows =
            matches!(self.records_after(upto).next(), Some(Record::Finished | Record::Draining | Record::Cancelled));
        Step(upto.0 + u64::from(follows))
    }

    /// The fewest events that take a quilt from step `after` to step `upto`: adjacent settlements of a lap are one event. The history must
    /// reach `after`.
    #[must_use]
    pub fn events(&self, quilt: &Quilt, after: Step, upto: Step) -> Vec<Event> {
        let after = self.within(after);
        let count = upto.0.saturating_sub(after.0) as usize;
        let mut lap = self.lap_at(after);
        let controls =
            self.records_after(after).filter(|record| matches!(record, Record::Controlled(_))).count() as u32;
        let mut number = quilt.controls().saturating_sub(controls);
        let mut events = Vec::new();
        let mut settlements = Vec::new();
        for record in self.records_after(after).take(count) {
            match record {
                Record::Settled(position, cell) => {
                    let outcome = quilt.read(cell).outcome();
                    settlements.extend(outcome.map(|outcome| Settlement { position, outcome }));
                }
                // The finish line follows from the settlement before it.
                Record::Finished => {}
                Record::LapStarted => {
                    flush(&mut events, &mut settlements, lap, settled_at(quilt, lap));
                    lap += 1;
                    let at = quilt.numbered_lap(lap).started_at;
                    events.extend(self.lap_start(lap).map(|LapStart { set, limits, .. }| Event::LapStarted {
                        lap,
                        at,
                        set: set.clone(),
                        limits: *limits,
                    }));
                }
                Record::Controlled(control) => {
                    flush(&mut events, &mut settlements, lap, settled_at(quilt, lap));
                    number += 1;
                    events.push(Event::Controlled { lap, number, at: settled_at(quilt, lap), control });
                }
                // Redundant if failures caused it, because then it follows from the settlements.
                Record::Draining => {
                    let Cancellation { at, cause } = draining_of(quilt, lap);
                    flush(&mut events, &mut settlements, lap, at);
                    events.push(Event::Draining { lap, at, cause });
                }
                Record::Cancelled => {
                    flush(&mut events, &mut settlements, lap, settled_at(quilt, lap));
                    let how = quilt.numbered_lap(lap).cancellation();
                    events.extend(how.map(|how| Event::Cancelled { lap, at: how.at, cause: how.cause }));
                }
            }
        }
        flush(&mut events, &mut settlements, lap, settled_at(quilt, lap));
        events
    }

    fn within(&self, step: Step) -> Step {
        Step(step.0.clamp(self.start, self.step().0))
    }

    fn records_after(&self, step: Step) -> impl Iterator<Item = Record> + '_ {
        // An index into `records`, so it fits into `usize`.
        let place = step.0.saturating_sub(self.start) as usize;
        self.records.get(place..).unwrap_or_default().iter().map(|packed| Record::from(*packed))
    }

    /// The lap of the change after this step. The start of a lap belongs to the lap before it.
    fn lap_at(&self, step: Step) -> u32 {
        self.forgotten_laps + self.lap_starts.partition_point(|start| start.step < step.0) as u32 + 1
    }

    /// The start of a lap, unless it is discarded or the lap is the first one.
    fn lap_start(&self, lap: u32) -> Option<&LapStart> {
        self.lap_starts.get(lap.checked_sub(2 + self.forgotten_laps)? as usize)
    }
}

fn flush(events: &mut Vec<Event>, settlements: &mut Vec<Settlement>, lap: u32, at: Timestamp) {
    if !settlements.is_empty() {
        events.push(Event::Settled { lap, at, settlements: std::mem::take(settlements) });
    }
}

/// The time for settlements of a lap: its end, or the last update of a lap that has not ended.
fn settled_at(quilt: &Quilt, lap: u32) -> Timestamp {
    quilt.numbered_lap(lap).end.map_or(quilt.updated_at, LapEnd::at)
}

/// When and why a lap drained. For an earlier lap, this is derived from its end.
fn draining_of(quilt: &Quilt, lap: u32) -> Cancellation {
    let now = (lap == quilt.lap_number()).then_some(quilt.draining).flatten();
    let ended = Cancellation { at: settled_at(quilt, lap), cause: CancelCause::Asked };
    now.or(quilt.numbered_lap(lap).cancellation()).unwrap_or(ended)
}

fn progress_at_finish(quilt: &Quilt, lap: u32) -> Progress {
    let Progress { tasks, failed, not_run, .. } = quilt.progress();
    let (failed, not_run) =
        quilt.numbered_lap(lap).finish().map_or((failed, not_run), |finish| (finish.failed, finish.not_run));
    Progress { tasks, done: tasks.saturating_sub(failed + not_run), failed, not_run }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::ReasonId;
    use crate::color::Color;

    #[test]
    fn what_is_packed_is_what_is_unpacked() {
        let last = Position((1 << 20) - 1);
        for record in [
            Record::Settled(last, Cell::done(Color::from_rgb(0x00FF_FFFF))),
            Record::Settled(Position(0), Cell::failed(ReasonId(1_024))),
            Record::Finished,
            Record::LapStarted,
            Record::Draining,
            Record::Cancelled,
            Record::Controlled(Control::Pause),
            Record::Controlled(Control::Resume),
            Record::Controlled(Control::SetConcurrency(None)),
            Record::Controlled(Control::SetConcurrency(Some(1 << 16))),
        ] {
            assert_eq!(Record::from(Packed::from(record)), record);
        }
    }
}

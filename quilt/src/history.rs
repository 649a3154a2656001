//! The changes of a quilt in the order in which they came.
//!
//! A quilt tells how things stand; a reader that has seen part of it wants what came since. The history keeps
//! 12 bytes a change for that, and answers in events, so that a reader folds what it is sent with the same code.

use crate::cell::Cell;
use crate::event::{Event, Outcome, Settlement, Timestamp};
use crate::order::Position;
use crate::state::{Change, Progress, Quilt, SquareState, Step};

/// One change as it was when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'quilt> {
    /// A square got this outcome. It may have been put back and run again since.
    Settled(Position, SquareState<'quilt>),
    /// A lap crossed its finish line with these counts.
    Finished(Progress),
    /// The failed squares were put back, and this lap started.
    LapStarted(u32),
    /// The batch was stopped.
    Cancelled,
}

/// A change in 12 bytes.
#[derive(Debug, Clone, Copy)]
enum Record {
    Settled(Position, Cell),
    Finished,
    LapStarted,
    Cancelled,
}

/// All changes of one quilt, from its launch on.
#[derive(Debug, Clone, Default)]
pub struct History {
    records: Vec<Record>,
    /// Where each lap after the first starts among the records.
    lap_starts: Vec<usize>,
}

impl History {
    /// The history of a quilt that was just launched. Room for one lap is set aside, but not touched yet.
    #[must_use]
    pub fn new(quilt: &Quilt) -> Self {
        Self { records: Vec::with_capacity(quilt.progress().tasks as usize + 1), lap_starts: Vec::new() }
    }

    /// Notes what [`Quilt::apply`] reported. The quilt is the one that it was applied to.
    pub fn record(&mut self, quilt: &Quilt, changes: &[Change]) {
        for change in changes {
            self.records.push(match *change {
                Change::Settled(position) => Record::Settled(position, quilt.cell(position)),
                Change::Finished => Record::Finished,
                Change::LapStarted => {
                    self.lap_starts.push(self.records.len());
                    Record::LapStarted
                }
                Change::Cancelled => Record::Cancelled,
            });
        }
    }

    /// How many changes there are.
    #[must_use]
    pub fn step(&self) -> Step {
        Step(self.records.len() as u64)
    }

    /// The changes after a step, each with the step that it led to.
    pub fn entries<'a>(&'a self, quilt: &'a Quilt, after: Step) -> impl Iterator<Item = (Step, Entry<'a>)> + 'a {
        let start = self.place(after);
        let mut lap = self.lap_at(start);
        let steps = (start as u64 + 1..).map(Step);
        steps.zip(self.records_from(start)).map(move |(step, record)| {
            let entry = match *record {
                Record::Settled(position, cell) => Entry::Settled(position, quilt.read(cell)),
                Record::Finished => Entry::Finished(progress_at_finish(quilt, lap)),
                Record::LapStarted => {
                    lap += 1;
                    Entry::LapStarted(lap)
                }
                Record::Cancelled => Entry::Cancelled,
            };
            (step, entry)
        })
    }

    /// Events that take a quilt at step `after` to where this one is, as few as possible: neighbouring settlements of a lap become one event.
    #[must_use]
    pub fn events(&self, quilt: &Quilt, after: Step) -> Vec<Event> {
        let start = self.place(after);
        let mut lap = self.lap_at(start);
        let mut events = Vec::new();
        let mut settlements = Vec::new();
        for record in self.records_from(start) {
            match *record {
                Record::Settled(position, cell) => {
                    let outcome = match quilt.read(cell) {
                        SquareState::Done(color) => Outcome::Done(color),
                        SquareState::Failed(reason) => Outcome::Failed(reason.into()),
                        SquareState::Pending => continue,
                    };
                    settlements.push(Settlement { position, outcome });
                }
                // The finish line follows from the settlement before it.
                Record::Finished => {}
                Record::LapStarted => {
                    flush(&mut events, &mut settlements, quilt, lap);
                    lap += 1;
                    let at = quilt.numbered_lap(lap).started_at;
                    events.push(Event::LapStarted { lap, at });
                }
                Record::Cancelled => {
                    flush(&mut events, &mut settlements, quilt, lap);
                    let at = quilt.cancelled_at.unwrap_or(quilt.updated_at);
                    events.push(Event::Cancelled { lap, at });
                }
            }
        }
        flush(&mut events, &mut settlements, quilt, lap);
        events
    }

    fn place(&self, step: Step) -> usize {
        usize::try_from(step.0).unwrap_or(usize::MAX).min(self.records.len())
    }

    fn records_from(&self, start: usize) -> &[Record] {
        self.records.get(start..).unwrap_or_default()
    }

    /// The number of the lap in which the record at this place falls; a lap's start falls in the one before.
    fn lap_at(&self, place: usize) -> u32 {
        self.lap_starts.partition_point(|start| *start < place) as u32 + 1
    }
}

fn flush(events: &mut Vec<Event>, settlements: &mut Vec<Settlement>, quilt: &Quilt, lap: u32) {
    if !settlements.is_empty() {
        events.push(Event::Settled { lap, at: settled_at(quilt, lap), settlements: std::mem::take(settlements) });
    }
}

/// When the last settlement of a lap came that a history can end with: at the finish line, or just now.
fn settled_at(quilt: &Quilt, lap: u32) -> Timestamp {
    quilt.numbered_lap(lap).finish.map_or(quilt.updated_at, |finish| finish.at)
}

/// What failed in a lap is what the next one had to run.
fn progress_at_finish(quilt: &Quilt, lap: u32) -> Progress {
    let tasks = quilt.progress().tasks;
    let failed = if lap < quilt.lap_number() { quilt.numbered_lap(lap + 1).tasks } else { quilt.progress().failed };
    Progress { tasks, done: tasks - failed, failed }
}

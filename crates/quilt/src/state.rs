//! [`Quilt`]: the state of a batch, a pure fold of its journal.

use crate::cell::{Cell, CellState, OTHER_REASON, intern};
use crate::color::Color;
use crate::event::{CancelCause, Control, Event, Launched, Outcome, PutBack, Settlement, Timestamp};
use crate::grid::{Grid, Index, Square};
use crate::order::{Order, Position};
use crate::spec::BatchSpec;
use crate::summary::{Progress, Status, Summary};

/// The most laps a batch can have. A retry beyond it changes nothing.
pub const MAX_LAPS: usize = 1000;

/// The most controls a batch can have. One beyond it changes nothing, unless it resumes what is paused.
pub const MAX_CONTROLS: u32 = 10_000;

/// How many [`Change`]s a quilt has been through. Every fold of the same journal counts alike, on every node
/// and after every restart, so a reader can go on from a step that it saw elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(pub u64);

/// One thing that became different. Each takes the quilt one [`Step`] on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The square that is run at this position has its outcome.
    Settled(Position),
    /// The lap crossed its finish line: no square of it is left.
    Finished,
    /// These failed squares are pending again.
    LapStarted(PutBack),
    /// The batch was paused or resumed, or its concurrency changed.
    Controlled(Control),
    /// The batch was stopped.
    Cancelled,
}

/// One run to the finish line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lap {
    /// When it was launched, or when the retry was asked for.
    pub started_at: Timestamp,
    /// How many tasks were to run in it.
    pub tasks: u32,
    /// How many failed squares it left as they were.
    pub left_failed: u32,
    /// Its finish line, once crossed.
    pub finish: Option<Finish>,
}

/// A finish line that was crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finish {
    /// When the last square settled.
    pub at: Timestamp,
    /// The square that settled last.
    pub last_across: Index,
}

/// How a batch was stopped before its finish line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancellation {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: CancelCause,
}

/// What is known of one square.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SquareState<'quilt> {
    /// Its task has yet to end.
    Pending,
    /// Its task is done.
    Done(Color),
    /// Its task failed for good, for this reason.
    Failed(&'quilt str),
}

impl SquareState<'_> {
    /// Its outcome, if it has one.
    #[must_use]
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Pending => None,
            Self::Done(color) => Some(Outcome::Done(color)),
            Self::Failed(reason) => Some(Outcome::Failed(reason.into())),
        }
    }
}

/// The state of a batch.
///
/// Built by [`Quilt::new`] from a journal's first event and brought forward by [`Quilt::apply`] with the others.
/// Memory: 4 bytes a square.
#[derive(Debug, Clone, PartialEq)]
pub struct Quilt {
    pub(crate) launched: Launched,
    pub(crate) order: Order,
    /// By position in the order, so that neighbors in time are neighbors in memory and on the wire.
    pub(crate) cells: Vec<Cell>,
    pub(crate) reasons: Vec<Box<str>>,
    pub(crate) done: u32,
    pub(crate) failed: u32,
    pub(crate) earlier_laps: Vec<Lap>,
    pub(crate) lap: Lap,
    pub(crate) is_paused: bool,
    pub(crate) concurrency: Option<u32>,
    /// How many controls there were.
    pub(crate) controls: u32,
    pub(crate) cancellation: Option<Cancellation>,
    pub(crate) updated_at: Timestamp,
    pub(crate) step: Step,
}

impl Quilt {
    /// The quilt of a batch that was just launched.
    #[must_use]
    pub fn new(launched: Launched) -> Self {
        let tasks = launched.spec.grid.squares();
        Self {
            order: Order::new(launched.spec.seed, tasks),
            cells: vec![Cell::PENDING; tasks as usize],
            reasons: Vec::new(),
            done: 0,
            failed: 0,
            earlier_laps: Vec::new(),
            lap: Lap { started_at: launched.at, tasks, left_failed: 0, finish: None },
            is_paused: false,
            concurrency: launched.spec.concurrency,
            controls: 0,
            cancellation: None,
            updated_at: launched.at,
            step: Step(0),
            launched,
        }
    }

    /// Folds the journal's next event in and appends what became different to `changes`.
    ///
    /// An event that comes again, or comes too late, changes nothing: of two outcomes of a task in one lap the first wins,
    /// and after the finish line or a cancellation a lap takes no more.
    pub fn apply(&mut self, event: &Event, changes: &mut Vec<Change>) {
        let before = changes.len();
        match event {
            Event::Launched(_) | Event::Attempted { .. } => {}
            Event::Settled { lap, at, settlements } => {
                if self.is_open_lap(*lap) {
                    self.settle(*at, settlements, changes);
                }
            }
            Event::LapStarted { lap, at, put_back } => {
                if self.can_put_back(*put_back) && *lap == self.lap_number() + 1 {
                    self.start_lap(*at, *put_back);
                    changes.push(Change::LapStarted(*put_back));
                }
            }
            Event::Controlled { lap, number, at, control } => {
                if self.is_open_lap(*lap) && *number == self.controls + 1 && self.can_control(*control) {
                    self.control(*control);
                    self.updated_at = *at;
                    changes.push(Change::Controlled(*control));
                }
            }
            Event::Cancelled { lap, at, cause } => {
                if self.is_open_lap(*lap) {
                    self.cancel(*at, *cause, changes);
                }
            }
        }
        self.step.0 += (changes.len() - before) as u64;
    }

    fn settle(&mut self, at: Timestamp, settlements: &[Settlement], changes: &mut Vec<Change>) {
        for Settlement { position, outcome } in settlements {
            let Some(cell) = self.cells.get_mut(position.0 as usize).filter(|cell| cell.is_pending()) else {
                continue;
            };
            *cell = match outcome {
                Outcome::Done(color) => {
                    self.done += 1;
                    Cell::done(*color)
                }
                Outcome::Failed(reason) => {
                    self.failed += 1;
                    Cell::failed(intern(&mut self.reasons, reason))
                }
            };
            self.updated_at = at;
            changes.push(Change::Settled(*position));
            if self.progress().pending() == 0 {
                let last_across = self.order.index(*position);
                self.lap.finish = Some(Finish { at, last_across });
                changes.push(Change::Finished);
            } else if self.has_failed_too_often() {
                return self.cancel(at, CancelCause::Failures, changes);
            }
        }
    }

    /// Whether a larger share of the lap's tasks has failed than the batch tolerates.
    fn has_failed_too_often(&self) -> bool {
        let tolerated = self.spec().tolerated_failures;
        let failed = self.failed - self.lap.left_failed;
        // A share such as 0.29 is a little less than it says, and 29 of 100 are not more than that.
        tolerated.is_some_and(|share| f64::from(failed) > share * f64::from(self.lap.tasks) + 1e-6)
    }

    fn cancel(&mut self, at: Timestamp, cause: CancelCause, changes: &mut Vec<Change>) {
        self.cancellation = Some(Cancellation { at, cause });
        self.updated_at = at;
        changes.push(Change::Cancelled);
    }

    fn control(&mut self, control: Control) {
        self.controls += 1;
        match control {
            Control::Pause => self.is_paused = true,
            Control::Resume => self.is_paused = false,
            Control::SetConcurrency(concurrency) => self.concurrency = concurrency,
        }
    }

    fn start_lap(&mut self, at: Timestamp, put_back: PutBack) {
        let cells = match put_back {
            PutBack::All => self.cells.as_mut_slice(),
            PutBack::One(position) => {
                self.cells.get_mut(position.0 as usize).map(std::slice::from_mut).unwrap_or_default()
            }
        };
        let mut tasks = 0;
        for cell in cells {
            if matches!(cell.state(), CellState::Failed(_)) {
                *cell = Cell::PENDING;
                tasks += 1;
            }
        }
        self.failed -= tasks;
        let lap = Lap { started_at: at, tasks, left_failed: self.failed, finish: None };
        self.earlier_laps.push(std::mem::replace(&mut self.lap, lap));
        self.is_paused = false;
        self.updated_at = at;
    }

    fn is_open_lap(&self, lap: u32) -> bool {
        !self.status().is_over() && self.lap_number() == lap
    }

    /// Whether this control changes anything, and is not one too many.
    #[must_use]
    pub fn can_control(&self, control: Control) -> bool {
        let changes = match control {
            Control::Pause => !self.is_paused,
            Control::Resume => return self.is_paused,
            Control::SetConcurrency(concurrency) => self.concurrency != concurrency,
        };
        changes && self.controls < MAX_CONTROLS
    }

    /// Whether a next lap can start with these squares: at a finish line, and where they have failed.
    #[must_use]
    pub fn can_put_back(&self, put_back: PutBack) -> bool {
        let have_failed = match put_back {
            PutBack::All => self.failed > 0,
            PutBack::One(position) => matches!(self.at(position), SquareState::Failed(_)),
        };
        have_failed && self.status() == Status::Finished && self.earlier_laps.len() + 1 < MAX_LAPS
    }

    /// Where the batch stands.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.cancellation.is_some() {
            Status::Cancelled
        } else if self.lap.finish.is_some() {
            Status::Finished
        } else if self.is_paused {
            Status::Paused
        } else {
            Status::Running
        }
    }

    /// What the batch is made of.
    #[must_use]
    pub fn spec(&self) -> &BatchSpec {
        &self.launched.spec
    }

    /// The shape of the quilt.
    #[must_use]
    pub fn grid(&self) -> Grid {
        self.launched.spec.grid
    }

    /// The order in which squares are run.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// The counts over all squares.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress { tasks: self.grid().squares(), done: self.done, failed: self.failed }
    }

    /// The number of the lap the batch is in, from 1.
    #[must_use]
    pub fn lap_number(&self) -> u32 {
        // At most `MAX_LAPS`.
        self.earlier_laps.len() as u32 + 1
    }

    /// The lap the batch is in.
    #[must_use]
    pub fn lap(&self) -> &Lap {
        &self.lap
    }

    /// How many of its tasks may run at the same time, if there is a limit.
    #[must_use]
    pub fn concurrency(&self) -> Option<u32> {
        self.concurrency
    }

    /// How many controls the batch has been through.
    #[must_use]
    pub fn controls(&self) -> u32 {
        self.controls
    }

    /// How many changes the quilt has been through.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// Where a square is run in the order; `None` for one outside of the grid.
    #[must_use]
    pub fn position_of(&self, square: Square) -> Option<Position> {
        self.grid().index(square).map(|index| self.order.position(index))
    }

    /// The square that is run at a position of this quilt.
    #[must_use]
    pub fn place_of(&self, position: Position) -> Square {
        self.grid().square(self.order.index(position))
    }

    /// What is known of a square of this grid; a square outside is pending for ever.
    #[must_use]
    pub fn square(&self, index: Index) -> SquareState<'_> {
        if index.0 < self.grid().squares() { self.at(self.order.position(index)) } else { SquareState::Pending }
    }

    /// What is known of the square that is run at this position.
    #[must_use]
    pub fn at(&self, position: Position) -> SquareState<'_> {
        self.read(self.cell(position))
    }

    /// The positions from `range` that are still pending, in order.
    pub fn pending_in(&self, range: std::ops::Range<Position>) -> impl Iterator<Item = Position> + '_ {
        (range.start.0..range.end.0).map(Position).filter(|position| self.at(*position) == SquareState::Pending)
    }

    pub(crate) fn cell(&self, position: Position) -> Cell {
        self.cells.get(position.0 as usize).copied().unwrap_or(Cell::PENDING)
    }

    /// Reads a cell of this quilt, also one that has changed since.
    pub(crate) fn read(&self, cell: Cell) -> SquareState<'_> {
        match cell.state() {
            CellState::Pending => SquareState::Pending,
            CellState::Done(color) => SquareState::Done(color),
            CellState::Failed(reason) => {
                SquareState::Failed(self.reasons.get(reason.0 as usize).map_or(OTHER_REASON, |reason| reason))
            }
        }
    }

    /// A lap by its number, from 1.
    pub(crate) fn numbered_lap(&self, lap: u32) -> &Lap {
        self.earlier_laps.get(lap.saturating_sub(1) as usize).unwrap_or(&self.lap)
    }

    /// What lists and headings say of the batch.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            spec: self.spec().clone(),
            status: self.status(),
            lap: self.lap_number(),
            lap_tasks: self.lap.tasks,
            progress: self.progress(),
            created_at: self.launched.at,
            started_at: self.lap.started_at,
            ended_at: self.cancellation.map(|how| how.at).or(self.lap.finish.map(|finish| finish.at)),
            last_across: self.lap.finish.map(|finish| self.grid().square(finish.last_across)),
            concurrency: self.concurrency,
            cancelled_because: self.cancellation.map(|how| how.cause),
        }
    }
}

//! [`Quilt`]: the state of a batch, a pure fold of its journal.

mod failures;
mod lap_start;

use std::ops::Range;

use crate::cell::{Cell, CellState};
use crate::event::{Control, Event, JournalVersion, Launched, Outcome, Settlement};
use crate::grid::{Grid, Index, Square};
use crate::id::ShareGroup;
use crate::lap::{CancelCause, Cancellation, Finish, Lap, LapEnd, LapLimits};
use crate::order::{Order, Position};
use crate::reasons::Reasons;
use crate::spec::{BatchSpec, Halt, Tolerance};
use crate::square_state::SquareState;
use crate::summary::{Progress, Status, Summary};
use crate::timestamp::Timestamp;

/// The maximum number of laps of a batch. Further retries are ignored.
pub const MAX_LAPS: usize = 1000;

/// The maximum number of controls of a batch. Further ones are ignored, except those that resume a paused batch.
pub const MAX_CONTROLS: u32 = 10_000;

/// The number of [`Change`]s of a quilt. All folds of a journal count the same changes, on every node and after every restart, so a reader
/// can continue from a step of another node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(pub u64);

/// A change of a quilt, which advances it by one [`Step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The square at this position has its outcome.
    Settled(Position),
    /// The lap crossed its finish line: all of its squares have outcomes.
    Finished,
    /// A lap started, and its squares are pending again.
    LapStarted,
    /// The batch was paused or resumed, or its concurrency changed.
    Controlled(Control),
    /// No more tasks of the lap start.
    Draining,
    /// The lap was cancelled, and its pending squares are not run.
    Cancelled,
}

/// The state of a batch.
///
/// [`Quilt::new`] creates it from the first event of a journal, and [`Quilt::apply`] folds the other events. Memory: 4 bytes per square.
#[derive(Debug, Clone, PartialEq)]
pub struct Quilt {
    pub(crate) launched: Launched,
    pub(crate) order: Order,
    /// By position in the order, so that consecutive outcomes are adjacent in memory and on the wire.
    pub(crate) cells: Vec<Cell>,
    pub(crate) reasons: Reasons,
    pub(crate) done: u32,
    pub(crate) failed: u32,
    pub(crate) not_run: u32,
    pub(crate) earlier_laps: Vec<Lap>,
    pub(crate) lap: Lap,
    pub(crate) limits: LapLimits,
    pub(crate) is_paused: bool,
    /// The number of controls so far.
    pub(crate) controls: u32,
    /// Since when and why no more tasks of the lap start.
    pub(crate) draining: Option<Cancellation>,
    pub(crate) updated_at: Timestamp,
    pub(crate) step: Step,
}

impl Quilt {
    /// The quilt of a new batch.
    #[must_use]
    pub fn new(launched: Launched) -> Self {
        let tasks = launched.spec.grid.squares();
        Self {
            order: Order::new(launched.spec.order, launched.spec.seed, tasks),
            cells: vec![Cell::PENDING; tasks as usize],
            reasons: Reasons::new(launched.version),
            done: 0,
            failed: 0,
            not_run: 0,
            earlier_laps: Vec::new(),
            lap: Lap { started_at: launched.at, tasks, left_failed: 0, end: None },
            limits: LapLimits::from(&launched.spec),
            is_paused: false,
            controls: 0,
            draining: None,
            updated_at: launched.at,
            step: Step(0),
            launched,
        }
    }

    /// Folds the next event of the journal, and appends the changes to `changes`.
    ///
    /// Duplicate and late events change nothing: the first outcome of a task in a lap counts, and a lap accepts no events after its end.
    pub fn apply(&mut self, event: &Event, changes: &mut Vec<Change>) {
        let before = changes.len();
        // The clocks of nodes differ. A lap must not end before its start, nor start before the end of the previous one.
        let earliest = self.lap.end.map_or(self.lap.started_at, LapEnd::at);
        match event {
            Event::Launched(_) | Event::Attempted { .. } => {}
            Event::Settled { lap, at, settlements } => {
                if self.is_open_lap(*lap) {
                    self.settle((*at).max(earliest), settlements, changes);
                }
            }
            Event::LapStarted { lap, at, set, limits } => {
                if *lap == self.lap_number() + 1 && self.can_start_lap(set) {
                    self.start_lap((*at).max(earliest), set, *limits);
                    changes.push(Change::LapStarted);
                }
            }
            Event::Controlled { lap, number, at, control } => {
                if self.is_open_lap(*lap) && *number == self.controls + 1 && self.can_control(*control) {
                    self.control(*control);
                    self.updated_at = (*at).max(earliest);
                    changes.push(Change::Controlled(*control));
                }
            }
            Event::Draining { lap, at, cause } => {
                if self.is_open_lap(*lap) {
                    self.drain((*at).max(earliest), *cause, changes);
                }
            }
            Event::Cancelled { lap, at, cause } => {
                if self.is_open_lap(*lap) {
                    self.cancel((*at).max(earliest), *cause, changes);
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
                    let reason = self.reasons.intern(reason);
                    self.failed += 1;
                    self.reasons.add(reason);
                    Cell::failed(reason)
                }
            };
            self.updated_at = at;
            changes.push(Change::Settled(*position));
            if self.progress().pending() == 0 {
                let last_across = self.order.index(*position);
                let Self { failed, not_run, .. } = *self;
                self.lap.end = Some(LapEnd::Finished(Finish { at, last_across, failed, not_run }));
                changes.push(Change::Finished);
            } else if self.has_failed_too_often() {
                match self.spec().halt {
                    Halt::Now => return self.cancel(at, CancelCause::Failures, changes),
                    Halt::Soon => self.drain(at, CancelCause::Failures, changes),
                }
            }
        }
    }

    /// Whether more of the lap's tasks have failed than the batch tolerates.
    fn has_failed_too_often(&self) -> bool {
        let failed = self.failed - self.lap.left_failed;
        match self.spec().tolerated_failures {
            None => false,
            // The tolerance compensates for rounding: as a binary float, 0.29 * 100 may be slightly less than 29.
            Some(Tolerance::Share(share)) => f64::from(failed) > share * f64::from(self.lap.tasks) + 1e-6,
            Some(Tolerance::Count(count)) => failed > count,
        }
    }

    fn drain(&mut self, at: Timestamp, cause: CancelCause, changes: &mut Vec<Change>) {
        if self.draining.is_none() {
            self.draining = Some(Cancellation { at, cause });
            self.updated_at = at;
            changes.push(Change::Draining);
        }
    }

    fn cancel(&mut self, at: Timestamp, cause: CancelCause, changes: &mut Vec<Change>) {
        for cell in self.cells.iter_mut().filter(|cell| cell.is_pending()) {
            *cell = Cell::NOT_RUN;
            self.not_run += 1;
        }
        self.lap.end = Some(LapEnd::Cancelled(Cancellation { at, cause }));
        self.updated_at = at;
        changes.push(Change::Cancelled);
    }

    fn control(&mut self, control: Control) {
        self.controls += 1;
        match control {
            Control::Pause => self.is_paused = true,
            Control::Resume => self.is_paused = false,
            Control::SetConcurrency(concurrency) => self.limits.concurrency = concurrency,
        }
    }

    fn is_open_lap(&self, lap: u32) -> bool {
        !self.status().is_over() && self.lap_number() == lap
    }

    /// Whether this control would change anything, and is within the limit.
    #[must_use]
    pub fn can_control(&self, control: Control) -> bool {
        let changes = match control {
            Control::Pause => !self.is_paused && self.draining.is_none(),
            Control::Resume => return self.is_paused,
            Control::SetConcurrency(concurrency) => self.limits.concurrency != concurrency,
        };
        changes && self.controls < MAX_CONTROLS
    }

    /// The status of the batch.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.lap.end {
            Some(LapEnd::Cancelled(_)) => Status::Cancelled,
            Some(LapEnd::Finished(_)) => Status::Finished,
            None if self.draining.is_some() => Status::Draining,
            None if self.is_paused => Status::Paused,
            None => Status::Running,
        }
    }

    /// The spec of the batch.
    #[must_use]
    pub fn spec(&self) -> &BatchSpec {
        &self.launched.spec
    }

    /// The group with which the owner shares working time.
    #[must_use]
    pub fn group(&self) -> Option<ShareGroup> {
        self.launched.group
    }

    /// The version of the journal, which determines the rules of the fold.
    #[must_use]
    pub fn version(&self) -> JournalVersion {
        self.launched.version
    }

    /// The shape of the quilt.
    #[must_use]
    pub fn grid(&self) -> Grid {
        self.launched.spec.grid
    }

    /// The order in which squares run.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// The counts over all squares.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress { tasks: self.grid().squares(), done: self.done, failed: self.failed, not_run: self.not_run }
    }

    /// The number of the current lap, from 1.
    #[must_use]
    pub fn lap_number(&self) -> u32 {
        // At most `MAX_LAPS`.
        self.earlier_laps.len() as u32 + 1
    }

    /// The current lap.
    #[must_use]
    pub fn lap(&self) -> &Lap {
        &self.lap
    }

    /// The limits of the current lap.
    #[must_use]
    pub fn limits(&self) -> LapLimits {
        self.limits
    }

    /// The number of controls so far.
    #[must_use]
    pub fn controls(&self) -> u32 {
        self.controls
    }

    /// The number of changes so far.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// The position of a square; `None` outside the grid.
    #[must_use]
    pub fn position_of(&self, square: Square) -> Option<Position> {
        self.grid().index(square).map(|index| self.order.position(index))
    }

    /// The square at a position of this quilt.
    #[must_use]
    pub fn place_of(&self, position: Position) -> Square {
        self.grid().square(self.order.index(position))
    }

    /// The state of a square. Squares outside the grid are always pending.
    #[must_use]
    pub fn square(&self, index: Index) -> SquareState<'_> {
        if index.0 < self.grid().squares() { self.at(self.order.position(index)) } else { SquareState::Pending }
    }

    /// The state of the square at this position.
    #[must_use]
    pub fn at(&self, position: Position) -> SquareState<'_> {
        self.read(self.cell(position))
    }

    /// The pending positions in `range`, in order.
    pub fn pending_in(&self, range: Range<Position>) -> impl Iterator<Item = Position> + '_ {
        (range.start.0..range.end.0).map(Position).filter(|position| self.at(*position) == SquareState::Pending)
    }

    pub(crate) fn cell(&self, position: Position) -> Cell {
        self.cells.get(position.0 as usize).copied().unwrap_or(Cell::PENDING)
    }

    /// Decodes a cell of this quilt, which may be outdated.
    pub(crate) fn read(&self, cell: Cell) -> SquareState<'_> {
        match cell.state() {
            CellState::Pending => SquareState::Pending,
            CellState::Done(color) => SquareState::Done(color),
            CellState::Failed(reason) => SquareState::Failed(self.reasons.text(reason)),
            CellState::NotRun => SquareState::NotRun,
        }
    }

    /// Returns a lap by its number, from 1.
    pub(crate) fn numbered_lap(&self, lap: u32) -> &Lap {
        self.earlier_laps.get(lap.saturating_sub(1) as usize).unwrap_or(&self.lap)
    }

    /// The summary of the batch for lists and headings.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let LapLimits { attempts, timeout_ms, concurrency, deadline_ms } = self.limits;
        Summary {
            spec: BatchSpec { attempts, timeout_ms, deadline_ms, ..self.spec().clone() },
            status: self.status(),
            lap: self.lap_number(),
            lap_tasks: self.lap.tasks,
            progress: self.progress(),
            created_at: self.launched.at,
            started_at: self.lap.started_at,
            ended_at: self.lap.end.map(LapEnd::at),
            last_across: self.lap.finish().map(|finish| self.grid().square(finish.last_across)),
            concurrency,
            cancelled_because: match self.lap.end {
                Some(_) => self.lap.cancellation(),
                None => self.draining,
            }
            .map(|how| how.cause),
        }
    }
}

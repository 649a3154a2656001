//! Folds the frames of a channel into a quilt, and collects the squares that have to be painted.

mod past;

use quilt::wire::{Assembler, DecodeError, Load, ServerFrame};
use quilt::{Event, Index, Offset, Position, Quilt, Race, Square, SquareState, Step, Summary, Timestamp};

use crate::dirty::Dirty;
use crate::journal::Journal;
use crate::look::Look;
use crate::replay::Replay;
use crate::scene::Scene;

/// The content of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// The quilt changed; acknowledge this step.
    Changed(Step),
    /// The load of the nodes.
    Load(Load),
    /// More attempts.
    Raced,
    /// Attempts are missing; read them from the journal.
    Missed,
    /// A part of a message, or attempts that the journal will contain.
    Part,
    /// The message does not follow the current step. Reconnect for a snapshot.
    OutOfStep,
    /// The server has a newer version, so the page has to load the viewer of that version.
    Newer,
}

/// A viewer's copy of a quilt and its attempts.
#[derive(Debug)]
pub struct Viewer {
    quilt: Option<Quilt>,
    race: Race,
    journal: Journal,
    /// The quilt as far as the journal was read, if it comes from there and not from a snapshot.
    unfinished: Option<Quilt>,
    is_from_journal: bool,
    /// Shown instead of the quilt.
    replay: Option<Replay>,
    dirty: Dirty,
    assembler: Assembler,
}

/// Empty until the first snapshot.
impl Default for Viewer {
    fn default() -> Self {
        Self::with_race(Race::new(0, Timestamp(0)))
    }
}

impl Viewer {
    /// Creates a viewer that only has the summary.
    #[must_use]
    pub fn new(summary: &Summary) -> Self {
        let mut race = Race::new(summary.progress.tasks, summary.created_at);
        race.start_lap(summary.lap, summary.started_at);
        Self::with_race(race)
    }

    fn with_race(race: Race) -> Self {
        Self {
            quilt: None,
            race,
            journal: Journal::default(),
            unfinished: None,
            is_from_journal: false,
            replay: None,
            dirty: Dirty::All,
            assembler: Assembler::default(),
        }
    }

    /// The quilt, once a snapshot has arrived.
    #[must_use]
    pub fn quilt(&self) -> Option<&Quilt> {
        self.quilt.as_ref()
    }

    /// The attempts that are displayed: all that are known or, in a replay, those up to its moment.
    #[must_use]
    pub fn race(&self) -> &Race {
        self.replay.as_ref().map_or(&self.race, Replay::race)
    }

    /// The quilt that is displayed: the present one, or a moment of the past.
    #[must_use]
    pub fn displayed(&self) -> Option<&Quilt> {
        self.replay.as_ref().map(Replay::quilt).or(self.quilt.as_ref())
    }

    /// Whether a replay is open.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.replay.is_some()
    }

    /// How many events of the journal are known to the race, from where the channel continues.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.race.offset()
    }

    /// What there is to draw, once a snapshot has arrived.
    #[must_use]
    pub fn scene(&self, look: Look) -> Option<Scene<'_>> {
        Some(Scene { quilt: self.displayed()?, race: self.race(), look })
    }

    /// The step from which to resume after a reconnect.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        self.quilt.as_ref().map(Quilt::step)
    }

    /// Discards the quilt, so that the next connection starts with a snapshot.
    pub fn forget(&mut self) {
        self.quilt = None;
        self.dirty = Dirty::All;
    }

    /// To be called when a connection is established. Discards a partial message of the previous one.
    pub fn connected(&mut self) {
        self.assembler = Assembler::default();
    }

    /// Returns the squares that have changed since the last call.
    #[must_use]
    pub fn take_dirty(&mut self) -> Dirty {
        self.dirty.take()
    }

    /// Marks all squares as dirty.
    pub fn repaint(&mut self) {
        self.dirty = Dirty::All;
    }

    /// Folds a message. While the journal is being read, attempts that arrive are skipped: the journal contains them.
    pub fn receive(&mut self, message: &[u8], is_reading: bool) -> Received {
        match self.assembler.receive(message) {
            Ok(Some(ServerFrame::Attempts { .. })) if is_reading => Received::Part,
            Ok(Some(frame)) => self.fold(frame),
            Ok(None) => Received::Part,
            // The server could be decoded before, so it has been replaced by a newer version.
            Err(DecodeError::UnknownKind(_) | DecodeError::UnknownVersion(_) | DecodeError::UnknownSpec)
                if self.quilt.is_some() =>
            {
                Received::Newer
            }
            Err(_) => Received::OutOfStep,
        }
    }

    /// The failed square that follows `here` in reading order; the first one after the last.
    #[must_use]
    pub fn next_failure(&self, here: Option<Square>) -> Option<Square> {
        let quilt = self.quilt.as_ref()?;
        let grid = quilt.grid();
        let here = here.and_then(|square| grid.index(square));
        let positions = (0..quilt.progress().tasks).map(Position);
        let failed = positions.filter(|position| matches!(quilt.at(*position), SquareState::Failed(_)));
        // Squares after `here` sort before the others.
        let rank = |index: &Index| (here.is_some_and(|here| *index <= here), *index);
        failed.map(|position| quilt.order().index(position)).min_by_key(rank).map(|index| grid.square(index))
    }

    /// Whether a square has failed and has not been retried.
    #[must_use]
    pub fn has_failed(&self, square: Square) -> bool {
        let state = self.quilt.as_ref().and_then(|quilt| Some(quilt.at(quilt.position_of(square)?)));
        matches!(state, Some(SquareState::Failed(_)))
    }

    /// The current lap, and the number of the last attempt at a square in it; 0 if there is none.
    #[must_use]
    pub fn last_attempt(&self, square: Square) -> (u32, u8) {
        let last = self.quilt.as_ref().and_then(|quilt| self.race.last_attempt(quilt.position_of(square)?));
        (self.quilt.as_ref().map_or(0, Quilt::lap_number), last.map_or(0, |last| last.number))
    }

    fn fold(&mut self, frame: ServerFrame) -> Received {
        match frame {
            ServerFrame::Snapshot(quilt) => {
                let step = quilt.step();
                self.set_quilt(*quilt);
                Received::Changed(step)
            }
            ServerFrame::Delta { from, events } => {
                let Some(quilt) = self.quilt.as_mut().filter(|quilt| quilt.step() == from) else {
                    return Received::OutOfStep;
                };
                let mut changes = Vec::new();
                for event in &events {
                    quilt.apply(event, &mut changes);
                    if let Event::LapStarted { lap, at, .. } = event {
                        self.race.start_lap(*lap, *at);
                    }
                }
                if self.replay.is_none() {
                    self.dirty.extend(&changes, quilt.progress().tasks);
                }
                Received::Changed(quilt.step())
            }
            ServerFrame::Status(load) => Received::Load(load),
            ServerFrame::Attempts { after, upto, events } => {
                if after != self.race.offset() {
                    return Received::Missed;
                }
                events.iter().for_each(|event| self.apply_to_race(event));
                self.race.set_offset(upto);
                Received::Raced
            }
        }
    }

    fn set_quilt(&mut self, quilt: Quilt) {
        if self.race.tasks() < quilt.progress().tasks {
            let offset = self.race.offset();
            self.race = Race::new(quilt.progress().tasks, quilt.lap().started_at);
            self.race.set_offset(offset);
        }
        self.race.start_lap(quilt.lap_number(), quilt.lap().started_at);
        self.quilt = Some(quilt);
        if self.replay.is_none() {
            self.dirty = Dirty::All;
        }
    }

    /// Attempts can change how a square without an outcome looks.
    fn apply_to_race(&mut self, event: &Event) {
        self.race.apply(event);
        if let Event::Attempted { runs, .. } = event
            && self.replay.is_none()
        {
            let tried = runs.iter().flat_map(|run| run.positions()).map(Position);
            self.dirty.extend_with(tried, self.race.tasks());
        }
    }
}

#[cfg(test)]
mod tests {
    use quilt::wire::encode_event;
    use quilt::{AttemptRun, BatchSpec, Color, Grid, Launched, Outcome, Settlement, WorkSpec};

    use super::*;

    pub(super) fn launched() -> Launched {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        Launched::new(BatchSpec::new(work, Grid::new(2, 2).expect("small"), 1), Timestamp(1))
    }

    fn quilt() -> Quilt {
        Quilt::new(launched())
    }

    pub(super) fn viewer() -> Viewer {
        Viewer::new(&quilt().summary())
    }

    pub(super) fn attempted(position: u32) -> Event {
        let run = AttemptRun {
            first: Position(position),
            count: 1,
            number: 1,
            started_at: Timestamp(1),
            took_ms: 5,
            error: Some("no".into()),
        };
        Event::Attempted { lap: 1, worker: "a".into(), runs: vec![run] }
    }

    pub(super) fn settled(position: u32) -> Event {
        let outcome = Outcome::Done(Color::from_rgb(position));
        let settlements = vec![Settlement { position: Position(position), outcome }];
        Event::Settled { lap: 1, at: Timestamp(10 + u64::from(position)), settlements }
    }

    fn delta(from: u64, position: u32) -> ServerFrame {
        ServerFrame::Delta { from: Step(from), events: vec![settled(position)] }
    }

    #[test]
    fn deltas_follow_a_snapshot_and_name_the_squares_to_paint() {
        let mut viewer = viewer();
        assert_eq!(viewer.fold(ServerFrame::Snapshot(Box::new(quilt()))), Received::Changed(Step(0)));
        assert_eq!(viewer.take_dirty(), Dirty::All);
        assert_eq!(viewer.fold(delta(0, 3)), Received::Changed(Step(1)));
        assert_eq!(viewer.fold(delta(1, 0)), Received::Changed(Step(2)));
        assert_eq!(viewer.take_dirty(), Dirty::Squares(vec![Position(3), Position(0)]));
        assert_eq!(viewer.step(), Some(Step(2)));
    }

    #[test]
    fn a_gap_is_noticed_and_nothing_is_folded() {
        let mut viewer = viewer();
        assert_eq!(viewer.fold(delta(0, 1)), Received::OutOfStep);
        viewer.fold(ServerFrame::Snapshot(Box::new(quilt())));
        assert_eq!(viewer.fold(delta(1, 1)), Received::OutOfStep);
        assert_eq!(viewer.step(), Some(Step(0)));
    }

    #[test]
    fn the_next_failure_is_the_one_after_here_in_reading_order() {
        let mut viewer = viewer();
        let mut quilt = quilt();
        let failed: Vec<Position> = [1, 2].map(|index| quilt.order().position(Index(index))).to_vec();
        let settlement = |position| Settlement { position, outcome: Outcome::Failed("no".into()) };
        let settlements = failed.into_iter().map(settlement).collect();
        quilt.apply(&Event::Settled { lap: 1, at: Timestamp(2), settlements }, &mut Vec::new());
        assert_eq!(viewer.next_failure(None), None);
        viewer.fold(ServerFrame::Snapshot(Box::new(quilt)));
        let (first, second) = (Square { row: 0, column: 1 }, Square { row: 1, column: 0 });
        assert_eq!(viewer.next_failure(None), Some(first));
        assert_eq!(viewer.next_failure(Some(first)), Some(second));
        assert_eq!(viewer.next_failure(Some(second)), Some(first));
    }

    #[test]
    fn a_page_that_nobody_looks_at_does_not_grow() {
        let mut viewer = viewer();
        viewer.fold(ServerFrame::Snapshot(Box::new(quilt())));
        let _ = viewer.take_dirty();
        for _ in 0..5 {
            let events = vec![attempted(1)];
            viewer.fold(ServerFrame::Attempts { after: viewer.offset(), upto: viewer.offset(), events });
        }
        assert_eq!(viewer.take_dirty(), Dirty::All);
        assert_eq!(viewer.receive(&encode_event(&settled(1)), false), Received::OutOfStep);
    }

    #[test]
    fn a_server_of_a_later_version_is_noticed_by_those_who_could_read_it_before() {
        let unknown = [0xEE];
        let mut viewer = Viewer::default();
        assert_eq!(viewer.receive(&unknown, false), Received::OutOfStep);
        viewer.receive(&ServerFrame::encode_snapshot(&quilt()), false);
        assert_eq!(viewer.receive(&unknown, false), Received::Newer);
    }
}

//! Folds frames into a quilt, and notes which squares have to be painted.

use quilt::wire::{Assembler, DecodeError, FramedEvent, Load, ServerFrame};
use quilt::{Change, Event, Offset, Position, PutBack, Quilt, Race, Step, Summary, Timestamp};

use super::look::Look;
use super::painter::Scene;
use super::replay::Replay;

/// What has to be painted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dirty {
    /// Every square: the quilt is new, or its failed squares were put back.
    All,
    /// These squares.
    Squares(Vec<Position>),
}

/// What a message meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// The quilt is a step on; this one is to be acknowledged.
    Changed(Step),
    /// News of the workers.
    Load(Load),
    /// More is known of the attempts.
    Raced,
    /// Attempts are missing; they stand in the journal.
    Missed,
    /// Nothing new.
    Part,
    /// The message follows something that was never received. Only a new snapshot helps.
    OutOfStep,
}

/// One viewer's copy of a quilt, and of what is known of its attempts.
#[derive(Debug)]
pub(crate) struct Viewer {
    quilt: Option<Quilt>,
    race: Race,
    /// What is painted instead of the quilt.
    replay: Option<Replay>,
    dirty: Dirty,
    assembler: Assembler,
}

impl Viewer {
    /// Of a batch of which no more is known than this.
    pub(crate) fn new(summary: &Summary) -> Self {
        let mut race = Race::new(summary.progress.tasks, summary.created_at);
        race.start_lap(summary.lap, summary.started_at);
        Self { quilt: None, race, replay: None, dirty: Dirty::All, assembler: Assembler::default() }
    }

    /// The quilt, once a snapshot has arrived.
    pub(crate) fn quilt(&self) -> Option<&Quilt> {
        self.quilt.as_ref()
    }

    /// What is known of its attempts.
    pub(crate) fn race(&self) -> &Race {
        &self.race
    }

    /// What is painted: the quilt, or a moment of its past.
    fn shown(&self) -> Option<&Quilt> {
        self.replay.as_ref().map(Replay::quilt).or(self.quilt.as_ref())
    }

    /// What is painted, looked at like this.
    pub(crate) fn scene(&self, look: Look) -> Option<Scene<'_>> {
        Some(Scene { quilt: self.shown()?, race: &self.race, look, is_past: self.replay.is_some() })
    }

    /// Where to go on after a break.
    pub(crate) fn step(&self) -> Option<Step> {
        self.quilt.as_ref().map(Quilt::step)
    }

    /// Forgets the quilt, so that the next connection starts with a snapshot.
    pub(crate) fn forget(&mut self) {
        self.quilt = None;
        self.dirty = Dirty::All;
    }

    /// A new connection starts with a new message.
    pub(crate) fn connected(&mut self) {
        self.assembler = Assembler::default();
    }

    /// What has to be painted since this was last asked.
    pub(crate) fn take_dirty(&mut self) -> Dirty {
        std::mem::replace(&mut self.dirty, Dirty::Squares(Vec::new()))
    }

    /// Everything has to be painted anew.
    pub(crate) fn repaint(&mut self) {
        self.dirty = Dirty::All;
    }

    /// Paints another moment of the past.
    pub(crate) fn seek(&mut self, until: Timestamp) {
        if let Some(replay) = &mut self.replay {
            replay.seek(until, &mut self.dirty);
        }
    }

    /// Paints a moment of the past from now on, or the quilt again.
    pub(crate) fn set_replay(&mut self, replay: Option<Replay>) {
        self.replay = replay;
        self.dirty = Dirty::All;
    }

    /// Takes up to `budget` bytes of the replay's journal in, and returns whether it is where it should be.
    pub(crate) fn advance_replay(&mut self, budget: usize) -> bool {
        match &mut self.replay {
            Some(replay) => replay.advance(budget, &mut self.dirty),
            None => true,
        }
    }

    /// Folds a message in. While the journal is read, attempts that come are passed over: it leads further.
    pub(crate) fn receive(&mut self, message: &[u8], is_reading: bool) -> Received {
        match self.assembler.receive(message) {
            Ok(Some(ServerFrame::Attempts { .. })) if is_reading => Received::Part,
            Ok(Some(frame)) => self.fold(frame),
            Ok(None) => Received::Part,
            Err(_) => Received::OutOfStep,
        }
    }

    /// Takes up to `budget` bytes of a journal in, off its front, as far as it is about attempts.
    pub(crate) fn read_journal(&mut self, journal: &mut &[u8], budget: usize) -> Result<(), DecodeError> {
        let rest = journal.len().saturating_sub(budget);
        while journal.len() > rest {
            let Some(event) = FramedEvent::take(journal)? else { break };
            if event.is_attempts() || event.is_lap_start() {
                self.race_on(&event.decode()?);
            }
            self.race.set_offset(Offset(self.race.offset().0 + 1));
        }
        Ok(())
    }

    fn fold(&mut self, frame: ServerFrame) -> Received {
        match frame {
            ServerFrame::Snapshot(quilt) => {
                let step = quilt.step();
                self.race.start_lap(quilt.lap_number(), quilt.lap().started_at);
                self.quilt = Some(*quilt);
                if self.replay.is_none() {
                    self.dirty = Dirty::All;
                }
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
                events.iter().for_each(|event| self.race_on(event));
                self.race.set_offset(upto);
                Received::Raced
            }
        }
    }

    /// Attempts can change how a square looks that has no outcome yet.
    fn race_on(&mut self, event: &Event) {
        self.race.apply(event);
        if let Event::Attempted { runs, .. } = event
            && self.replay.is_none()
        {
            let tried = runs.iter().flat_map(|run| run.positions()).map(Position);
            self.dirty.extend_with(tried, self.race.tasks());
        }
    }
}

impl Dirty {
    pub(crate) fn extend(&mut self, changes: &[Change], tasks: u32) {
        if changes.contains(&Change::LapStarted(PutBack::All)) {
            *self = Self::All;
        }
        let changed = changes.iter().filter_map(|change| match change {
            Change::Settled(position) | Change::LapStarted(PutBack::One(position)) => Some(*position),
            _ => None,
        });
        self.extend_with(changed, tasks);
    }

    /// With squares of a quilt of so many. Nobody may look for a while: there are never more than that.
    fn extend_with(&mut self, squares: impl Iterator<Item = Position>, tasks: u32) {
        if let Self::Squares(positions) = self {
            positions.extend(squares.filter(|position| position.0 < tasks));
            if positions.len() > tasks as usize {
                *self = Self::All;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quilt::wire::{encode_event, put_framed_event};
    use quilt::{AttemptRun, BatchSpec, Color, Grid, Launched, Outcome, Settlement, WorkSpec};

    use super::*;

    fn quilt() -> Quilt {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let grid = Grid::new(2, 2).expect("small");
        let spec = BatchSpec::new(work, grid, 1);
        Quilt::new(Launched { spec, at: Timestamp(1) })
    }

    fn viewer() -> Viewer {
        Viewer::new(&quilt().summary())
    }

    fn attempted(position: u32) -> Event {
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

    fn settled(position: u32) -> Event {
        let outcome = Outcome::Done(Color::from_rgb(position));
        Event::Settled {
            lap: 1,
            at: Timestamp(2),
            settlements: vec![Settlement { position: Position(position), outcome }],
        }
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
    fn attempts_follow_those_of_the_journal_without_a_gap() {
        let mut viewer = viewer();
        viewer.take_dirty();
        let mut journal = Vec::new();
        for event in
            [Event::Launched(Launched { spec: quilt().spec().clone(), at: Timestamp(1) }), attempted(2), settled(0)]
        {
            put_framed_event(&mut journal, &event);
        }
        let mut rest = &*journal;
        while !rest.is_empty() {
            viewer.read_journal(&mut rest, 1).expect("readable");
        }
        assert_eq!(viewer.race().offset(), Offset(3));
        assert_eq!(viewer.take_dirty(), Dirty::Squares(vec![Position(2)]));
        let live = |after, upto| ServerFrame::Attempts {
            after: Offset(after),
            upto: Offset(upto),
            events: vec![attempted(1)],
        };
        assert_eq!(viewer.fold(live(4, 6)), Received::Missed);
        assert_eq!(viewer.fold(live(3, 6)), Received::Raced);
        assert_eq!(viewer.race().offset(), Offset(6));
        assert!(viewer.read_journal(&mut &[200, 1][..], 9).is_err());
    }

    #[test]
    fn a_page_that_nobody_looks_at_does_not_grow() {
        let mut viewer = viewer();
        viewer.fold(ServerFrame::Snapshot(Box::new(quilt())));
        viewer.take_dirty();
        for _ in 0..5 {
            let events = vec![attempted(1)];
            viewer.fold(ServerFrame::Attempts { after: viewer.race().offset(), upto: viewer.race().offset(), events });
        }
        assert_eq!(viewer.take_dirty(), Dirty::All);
        assert_eq!(viewer.receive(&encode_event(&settled(1)), false), Received::OutOfStep);
    }
}

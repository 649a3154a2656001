//! Folds frames into a quilt, and notes which squares have to be painted.

use quilt::wire::{Load, ServerFrame};
use quilt::{Change, Position, Quilt, Step};

/// What has to be painted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dirty {
    /// Every square: the quilt is new, or its failed squares were put back.
    All,
    /// These squares.
    Squares(Vec<Position>),
}

/// What a frame meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// The quilt is a step on; this one is to be acknowledged.
    Changed(Step),
    /// News of the workers.
    Load(Load),
    /// The frame follows something that was never received. Only a new snapshot helps.
    OutOfStep,
}

/// One viewer's copy of a quilt.
#[derive(Debug)]
pub(crate) struct Viewer {
    quilt: Option<Quilt>,
    dirty: Dirty,
}

impl Default for Viewer {
    fn default() -> Self {
        Self { quilt: None, dirty: Dirty::All }
    }
}

impl Viewer {
    /// The quilt, once a snapshot has arrived.
    pub(crate) fn quilt(&self) -> Option<&Quilt> {
        self.quilt.as_ref()
    }

    /// Where to go on after a break.
    pub(crate) fn step(&self) -> Option<Step> {
        self.quilt.as_ref().map(Quilt::step)
    }

    /// Forgets the quilt, so that the next connection starts with a snapshot.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// What has to be painted since this was last asked.
    pub(crate) fn take_dirty(&mut self) -> Dirty {
        std::mem::replace(&mut self.dirty, Dirty::Squares(Vec::new()))
    }

    /// Folds a frame in.
    pub(crate) fn receive(&mut self, frame: ServerFrame) -> Received {
        match frame {
            ServerFrame::Snapshot(quilt) => {
                let step = quilt.step();
                self.quilt = Some(*quilt);
                self.dirty = Dirty::All;
                Received::Changed(step)
            }
            ServerFrame::Delta { from, events } => {
                let Some(quilt) = self.quilt.as_mut().filter(|quilt| quilt.step() == from) else {
                    return Received::OutOfStep;
                };
                let mut changes = Vec::new();
                for event in &events {
                    quilt.apply(event, &mut changes);
                }
                self.dirty.extend(&changes);
                Received::Changed(quilt.step())
            }
            ServerFrame::Status(load) => Received::Load(load),
        }
    }
}

impl Dirty {
    fn extend(&mut self, changes: &[Change]) {
        for change in changes {
            match (change, &mut *self) {
                (Change::LapStarted, dirty) => *dirty = Self::All,
                (Change::Settled(position), Self::Squares(positions)) => positions.push(*position),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quilt::{BatchSpec, Color, Event, Grid, Launched, Outcome, Settlement, Timestamp, WorkSpec};

    use super::*;

    fn quilt() -> Quilt {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let grid = Grid::new(2, 2).expect("small");
        let spec = BatchSpec::new(work, grid, 1);
        Quilt::new(Launched { spec, at: Timestamp(1) })
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
        let mut viewer = Viewer::default();
        assert_eq!(viewer.receive(ServerFrame::Snapshot(Box::new(quilt()))), Received::Changed(Step(0)));
        assert_eq!(viewer.take_dirty(), Dirty::All);
        assert_eq!(viewer.receive(delta(0, 3)), Received::Changed(Step(1)));
        assert_eq!(viewer.receive(delta(1, 0)), Received::Changed(Step(2)));
        assert_eq!(viewer.take_dirty(), Dirty::Squares(vec![Position(3), Position(0)]));
        assert_eq!(viewer.step(), Some(Step(2)));
    }

    #[test]
    fn a_gap_is_noticed_and_nothing_is_folded() {
        let mut viewer = Viewer::default();
        assert_eq!(viewer.receive(delta(0, 1)), Received::OutOfStep);
        viewer.receive(ServerFrame::Snapshot(Box::new(quilt())));
        assert_eq!(viewer.receive(delta(1, 1)), Received::OutOfStep);
        assert_eq!(viewer.step(), Some(Step(0)));
    }
}

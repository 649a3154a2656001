//! What a viewer knows of the past: the journal, and replays of it.

use quilt::wire::DecodeError;
use quilt::{Event, Offset, Quilt, Timestamp};

use super::Viewer;
use crate::dirty::Dirty;
use crate::replay::Replay;
use crate::timeline::Timeline;

impl Viewer {
    /// Opens a replay of the journal that was read, for a batch that ended at this time. Returns its length in milliseconds; `None` if
    /// the journal cannot be replayed.
    pub fn start_replay(&mut self, ended_at: Timestamp) -> Option<u64> {
        let launched_at = self.quilt.as_ref()?.summary().created_at;
        let timeline = Timeline::new(self.journal.activity(), ended_at.millis_since(launched_at).max(1));
        let replay = Replay::new(self.journal.bytes(), timeline).ok()?;
        let length_ms = replay.length_ms();
        self.replay = Some(replay);
        self.dirty = Dirty::All;
        Some(length_ms)
    }

    /// Shows the present again.
    pub fn end_replay(&mut self) {
        self.replay = None;
        self.dirty = Dirty::All;
    }

    /// Moves the replay to another moment, in milliseconds of the replay; [`Viewer::advance_replay`] reaches it.
    pub fn seek(&mut self, ms: u64) {
        if let Some(replay) = &mut self.replay {
            replay.seek(self.journal.bytes(), ms, &mut self.dirty);
        }
    }

    /// The time of the batch at the moment of the replay, if one is open.
    #[must_use]
    pub fn moment(&self) -> Option<Timestamp> {
        self.replay.as_ref().map(Replay::moment)
    }

    /// Folds up to `budget` bytes of the replay's journal and returns whether its moment is reached.
    pub fn advance_replay(&mut self, budget: usize) -> bool {
        match &mut self.replay {
            Some(replay) => replay.advance(self.journal.bytes(), budget, &mut self.dirty),
            None => true,
        }
    }

    /// Call before the journal is read, if it is to provide the quilt as well, so that no snapshot is needed. Does nothing once there is
    /// a quilt, or a part of the journal was read.
    pub fn expect_quilt_in_journal(&mut self) {
        self.is_from_journal = self.quilt.is_none() && self.journal.read() == 0;
    }

    /// Whether the journal provides the quilt and is not read completely.
    #[must_use]
    pub fn is_from_journal(&self) -> bool {
        self.is_from_journal
    }

    /// Where to continue the download of the journal.
    #[must_use]
    pub fn journal_offset(&self) -> Offset {
        self.journal.offset()
    }

    /// Adds downloaded events of the journal, which follow [`Viewer::journal_offset`].
    pub fn append_journal(&mut self, bytes: Vec<u8>) {
        self.journal.append(bytes);
    }

    /// Folds up to `budget` bytes of the journal and returns whether all is read.
    ///
    /// # Errors
    ///
    /// Returns a [`DecodeError`] for invalid bytes.
    pub fn read_journal(&mut self, budget: usize) -> Result<bool, DecodeError> {
        let stop = self.journal.read().saturating_add(budget);
        while self.journal.read() < stop {
            let Some(event) = self.journal.next(self.is_from_journal)? else { return Ok(true) };
            // Attempts up to the race's offset came through the channel.
            let is_new = self.journal.offset() > self.race.offset();
            if is_new {
                self.race.set_offset(self.journal.offset());
            }
            let Some(event) = event else { continue };
            if is_new {
                self.apply_to_race(&event);
            }
            if self.is_from_journal {
                match (event, &mut self.unfinished) {
                    (Event::Launched(launched), _) => self.unfinished = Some(Quilt::new(launched)),
                    (event, Some(quilt)) => quilt.apply(&event, &mut Vec::new()),
                    _ => {}
                }
            }
        }
        Ok(false)
    }

    /// Call when the journal is read, or cannot be: shows the quilt that it provided, unless a snapshot has arrived meanwhile. Returns
    /// whether the journal was to provide one.
    pub fn take_quilt_from_journal(&mut self, is_complete: bool) -> bool {
        if let Some(quilt) = self.unfinished.take()
            && is_complete
            && self.quilt.is_none()
        {
            self.set_quilt(quilt);
        }
        std::mem::take(&mut self.is_from_journal)
    }
}

#[cfg(test)]
mod tests {
    use quilt::wire::{ServerFrame, put_framed_event};
    use quilt::{Position, Status, Step};

    use super::*;
    use crate::viewer::Received;
    use crate::viewer::tests::{attempted, launched, settled, viewer};

    fn framed(events: &[Event]) -> Vec<u8> {
        let mut bytes = Vec::new();
        events.iter().for_each(|event| put_framed_event(&mut bytes, event));
        bytes
    }

    fn read_all(viewer: &mut Viewer) {
        while !viewer.read_journal(1).expect("readable") {}
    }

    #[test]
    fn attempts_follow_those_of_the_journal_without_a_gap() {
        let mut viewer = viewer();
        let _ = viewer.take_dirty();
        viewer.append_journal(framed(&[Event::Launched(launched()), attempted(2), settled(0)]));
        read_all(&mut viewer);
        assert_eq!(viewer.offset(), Offset(3));
        assert_eq!(viewer.take_dirty(), Dirty::Squares(vec![Position(2)]));
        let live = |after, upto| ServerFrame::Attempts {
            after: Offset(after),
            upto: Offset(upto),
            events: vec![attempted(1)],
        };
        assert_eq!(viewer.fold(live(4, 6)), Received::Missed);
        assert_eq!(viewer.fold(live(3, 6)), Received::Raced);
        assert_eq!(viewer.offset(), Offset(6));
        // What does not follow is discarded, so that the download can be repeated.
        viewer.append_journal(vec![200, 1]);
        assert!(viewer.read_journal(9).is_err());
        assert_eq!(viewer.journal_offset(), Offset(3));
        assert_eq!(viewer.read_journal(9), Ok(true));
    }

    #[test]
    fn the_journal_of_a_batch_that_is_over_provides_its_quilt() {
        let mut viewer = viewer();
        viewer.expect_quilt_in_journal();
        let events = [Event::Launched(launched()), settled(0), settled(1), settled(2), settled(3)];
        viewer.append_journal(framed(&events));
        read_all(&mut viewer);
        assert!(viewer.quilt().is_none() && viewer.is_from_journal());
        assert!(viewer.take_quilt_from_journal(true));
        assert_eq!(viewer.quilt().map(Quilt::status), Some(Status::Finished));
        assert_eq!((viewer.step(), viewer.take_dirty()), (Some(Step(5)), Dirty::All));
        assert!(!viewer.take_quilt_from_journal(true));
    }

    #[test]
    fn a_snapshot_that_arrives_first_stays() {
        let mut viewer = viewer();
        viewer.expect_quilt_in_journal();
        viewer.append_journal(framed(&[Event::Launched(launched()), settled(0)]));
        read_all(&mut viewer);
        viewer.fold(ServerFrame::Snapshot(Box::new(Quilt::new(launched()))));
        assert!(viewer.take_quilt_from_journal(true));
        assert_eq!(viewer.step(), Some(Step(0)));
        viewer.expect_quilt_in_journal();
        assert!(!viewer.is_from_journal());
    }

    #[test]
    fn a_replay_shows_its_moment_and_then_the_present() {
        let mut viewer = viewer();
        viewer.expect_quilt_in_journal();
        let mut events = vec![Event::Launched(launched())];
        events.extend((0..4).flat_map(|position| [attempted(position), settled(position)]));
        viewer.append_journal(framed(&events));
        read_all(&mut viewer);
        viewer.take_quilt_from_journal(true);
        let length = viewer.start_replay(Timestamp(13)).expect("a journal");
        assert!(viewer.is_replaying());
        let mut done_at = |ms| {
            viewer.seek(ms);
            while !viewer.advance_replay(1) {}
            (
                viewer.moment().map_or(0, |moment| moment.0),
                viewer.displayed().map(|quilt| quilt.progress().done),
                viewer.race().unsuccessful(),
            )
        };
        assert_eq!(done_at(0), (1, Some(0), 0));
        assert_eq!(done_at(length), (13, Some(4), 4));
        viewer.seek(0);
        viewer.end_replay();
        assert_eq!(viewer.displayed().map(|quilt| quilt.progress().done), Some(4));
    }
}

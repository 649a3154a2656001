//! What viewers of a batch are sent, encoded once for all of them who are at the same step.
//!
//! Viewers move from *cut* to *cut*: a step at which one of them was sent something. A new cut is made at most once a frame on a screen,
//! so those who keep up are all at the same one, and ask for the same bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quilt::Step;
use quilt::wire::{Load, ServerFrame, messages};
use tokio::time::Instant;

use super::batch_state::BatchState;

/// The shortest time between two cuts: about a frame on a screen.
const CUT_INTERVAL: Duration = Duration::from_millis(16);

/// The most changes in one delta. A page folds that many well within a frame.
const MAX_DELTA: u64 = 32_768;

/// How long a snapshot serves viewers who come after the one for whom it was made, while the batch goes on.
const SNAPSHOT_AGE: Duration = Duration::from_millis(250);

/// How long a status serves viewers who come after the one for whom it was made.
const STATUS_AGE: Duration = Duration::from_millis(250);

/// The messages of one frame.
pub type Messages = Arc<[Bytes]>;

/// What a viewer gets next.
pub enum Next {
    /// A frame, and the step that it leads to.
    Frame(Messages, Step),
    /// Nothing before this moment.
    NotBefore(Instant),
}

/// The frames that viewers have asked for lately.
#[derive(Default)]
pub(super) struct Frames {
    cached: Mutex<Cached>,
}

/// Those that are at hand.
#[derive(Default)]
pub(super) struct Cached {
    cut: Option<(Step, Instant)>,
    /// To the cut, or as near to it as one delta goes, from where viewers were.
    deltas: HashMap<Step, (Messages, Step)>,
    snapshot: Option<(Messages, Step, Instant)>,
    status: Option<(Messages, Instant)>,
}

impl Frames {
    /// Who encodes a frame holds this, so that others who want the same one find it done.
    pub(super) fn lock(&self) -> MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cached {
    /// What a viewer has not seen, who has seen everything up to a step.
    pub(super) fn next(&mut self, folded: &BatchState, seen: Option<Step>) -> Next {
        let now = Instant::now();
        let cut = match self.cut {
            Some((cut, made)) if seen.is_some_and(|seen| cut <= seen) && now < made + CUT_INTERVAL => {
                return Next::NotBefore(made + CUT_INTERVAL);
            }
            Some((cut, made)) if now < made + CUT_INTERVAL => cut,
            _ => self.cut_at(folded.quilt.step(), now),
        };
        let (messages, step) = match seen.filter(|seen| folded.can_go_on_from(*seen)) {
            Some(from) => self.delta(folded, from, cut),
            None => self.snapshot(folded, now),
        };
        Next::Frame(messages, step)
    }

    /// A status that was made a moment ago.
    pub(super) fn recent_status(&self) -> Option<Messages> {
        let (messages, _) = self.status.as_ref().filter(|(_, made)| made.elapsed() < STATUS_AGE)?;
        Some(Arc::clone(messages))
    }

    /// A new status.
    pub(super) fn status(&mut self, load: Load) -> Messages {
        let messages = split(ServerFrame::Status(load).encode());
        self.status = Some((Arc::clone(&messages), Instant::now()));
        messages
    }

    fn cut_at(&mut self, step: Step, now: Instant) -> Step {
        self.cut = Some((step, now));
        self.deltas.clear();
        // One of a batch that stands still serves everybody who comes.
        self.snapshot.take_if(|(_, made_at, made)| *made_at < step && now > *made + SNAPSHOT_AGE);
        step
    }

    fn delta(&mut self, folded: &BatchState, from: Step, cut: Step) -> (Messages, Step) {
        let (messages, step) = self.deltas.entry(from).or_insert_with(|| {
            let upto = cut.min(folded.history.reach(from, MAX_DELTA));
            let events = folded.history.events(&folded.quilt, from, upto);
            (split(ServerFrame::Delta { from, events }.encode()), upto)
        });
        (Arc::clone(messages), *step)
    }

    fn snapshot(&mut self, folded: &BatchState, now: Instant) -> (Messages, Step) {
        let fresh = self.snapshot.take_if(|(_, step, _)| folded.can_go_on_from(*step));
        let (messages, step, made) =
            fresh.unwrap_or_else(|| (split(ServerFrame::encode_snapshot(&folded.quilt)), folded.quilt.step(), now));
        self.snapshot = Some((Arc::clone(&messages), step, made));
        (messages, step)
    }
}

impl BatchState {
    /// Whether what came after a step is kept, and is less than the whole quilt.
    fn can_go_on_from(&self, seen: Step) -> bool {
        let missed = self.quilt.step().0.saturating_sub(seen.0);
        missed <= u64::from(self.quilt.progress().tasks) && self.history.reaches(seen)
    }
}

/// A frame as messages that can be shared.
#[must_use]
pub fn split(frame: Vec<u8>) -> Messages {
    messages(frame).map(Bytes::from).collect()
}

//! Frames for the viewers of a batch, encoded once for all viewers at the same step.
//!
//! Viewers advance from *cut* to *cut*. A cut is a step at which a frame was encoded. New cuts are made at most once per screen refresh, so
//! viewers that keep up are at the same cut and share the same bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quilt::Step;
use quilt::wire::{Load, ServerFrame, messages};
use tokio::time::Instant;

use super::batch_state::BatchState;

/// Minimum time between two cuts, about one screen refresh.
const CUT_INTERVAL: Duration = Duration::from_millis(16);

/// Maximum number of changes in one delta. A browser applies that many well within one screen refresh.
const MAX_DELTA: u64 = 32_768;

/// How long a snapshot is reused for new viewers while the batch is running.
const SNAPSHOT_AGE: Duration = Duration::from_millis(250);

/// How long a status frame is reused for other viewers.
const STATUS_AGE: Duration = Duration::from_millis(250);

/// The messages of one frame.
pub type Messages = Arc<[Bytes]>;

/// The next frame for a viewer.
pub enum Next {
    /// A frame, and the step of the viewer after it.
    Frame(Messages, Step),
    /// There is no frame before this time.
    NotBefore(Instant),
}

/// Cached frames.
#[derive(Default)]
pub(super) struct Frames {
    cached: Mutex<Cached>,
}

/// The cached frames.
#[derive(Default)]
pub(super) struct Cached {
    cut: Option<(Step, Instant)>,
    /// Deltas by the step at which they start. Each ends at the cut, or earlier if it reaches the maximum size.
    deltas: HashMap<Step, (Messages, Step)>,
    snapshot: Option<(Messages, Step, Instant)>,
    status: Option<(Messages, Instant)>,
}

impl Frames {
    /// Encoding holds this lock, so that viewers that wait for the same frame find it cached.
    pub(super) fn lock(&self) -> MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cached {
    /// The next frame for a viewer that has seen everything up to a step.
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

    /// The cached status frame, unless it has expired.
    pub(super) fn recent_status(&self) -> Option<Messages> {
        let (messages, _) = self.status.as_ref().filter(|(_, made)| made.elapsed() < STATUS_AGE)?;
        Some(Arc::clone(messages))
    }

    /// Encodes and caches a status frame.
    pub(super) fn status(&mut self, load: Load) -> Messages {
        let messages = split(ServerFrame::Status(load).encode());
        self.status = Some((Arc::clone(&messages), Instant::now()));
        messages
    }

    fn cut_at(&mut self, step: Step, now: Instant) -> Step {
        self.cut = Some((step, now));
        self.deltas.clear();
        // The snapshot of an idle batch stays valid.
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
    /// Whether the history reaches back to a step, and the changes since then are at most as many as the squares.
    fn can_go_on_from(&self, seen: Step) -> bool {
        let missed = self.quilt.step().0.saturating_sub(seen.0);
        missed <= u64::from(self.quilt.progress().tasks) && self.history.reaches(seen)
    }
}

/// Splits a frame into messages that can be shared.
#[must_use]
pub fn split(frame: Vec<u8>) -> Messages {
    messages(frame).map(Bytes::from).collect()
}

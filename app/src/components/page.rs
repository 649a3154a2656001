//! What the parts of a batch's page share.

use leptos::prelude::*;
use quilt::{BatchId, Grid, Index, Position, Square, SquareState};

use crate::channel::Channel;
use crate::look::Look;
use crate::zoom::Zoom;

/// The state of one batch's page.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    pub(crate) id: BatchId,
    /// Whether the visitor may control the batch.
    pub(crate) is_own: bool,
    pub(crate) grid: Grid,
    pub(crate) channel: Channel,
    /// How the quilt is looked at.
    pub(crate) look: RwSignal<Look>,
    /// The square that has the focus; whoever sets it moves the focus.
    pub(crate) focused: RwSignal<Option<Square>>,
    /// The square of which more is told.
    pub(crate) chosen: RwSignal<Option<Square>>,
    /// Which part of the quilt is in sight, where it is on a canvas. Whoever sets it moves the quilt.
    pub(crate) zoom: RwSignal<Option<Zoom>>,
    /// The replay, while there is one.
    pub(crate) playback: RwSignal<Option<Playback>>,
    /// Whether the batch crossed its finish line before the visitor's eyes.
    pub(crate) has_seen_finish: RwSignal<bool>,
    /// What is said of something that was just done, such as a link that was copied.
    pub(crate) notice: RwSignal<String>,
}

/// A replay: a moment of the batch's past, and whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Playback {
    /// The moment, in milliseconds from the launch.
    pub(crate) at_ms: f64,
    /// How long there is something to play.
    pub(crate) length_ms: f64,
    pub(crate) is_playing: bool,
    /// How much faster than it was.
    pub(crate) speed: f64,
}

impl Page {
    /// The failed square after the one that has the focus, in reading order; the first one after the last.
    pub(crate) fn next_failure(self) -> Option<Square> {
        let here = self.focused.get_untracked().and_then(|square| self.grid.index(square));
        self.channel.with_quilt(|quilt, _| {
            let positions = (0..quilt.progress().tasks).map(Position);
            let failed = positions.filter(|position| matches!(quilt.at(*position), SquareState::Failed(_)));
            let order = quilt.order();
            // Those behind the focus come before those in front of it.
            let rank = |index: &Index| (here.is_some_and(|here| *index <= here), *index);
            failed.map(|position| order.index(position)).min_by_key(rank).map(|index| self.grid.square(index))
        })?
    }
}

//! A batch's events as signals.
//!
//! # Layout
//!
//! - [`use_channel`]: a batch's quilt, its progress and the connection, for the page of that batch
//! - `viewer`: folds frames into a quilt, and notes which squares have to be painted
//! - `rate`: how fast squares settle
//! - `backoff`: when to connect again
//! - `socket` (in the browser): the WebSocket

#[cfg_attr(not(feature = "hydrate"), allow(dead_code, reason = "only a browser connects"))]
mod backoff;
mod rate;
#[cfg(feature = "hydrate")]
mod socket;
#[cfg_attr(not(feature = "hydrate"), allow(dead_code, reason = "only a browser receives frames"))]
mod viewer;

use leptos::prelude::*;
use quilt::wire::Load;
use quilt::{Quilt, Square, Summary, Timestamp};

use crate::model::BatchView;
use crate::squares::{MAX_ELEMENTS, state_name};
use rate::Rate;
pub(crate) use viewer::Dirty;
use viewer::Viewer;

/// What the page knows of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// The first connection is being made.
    Connecting,
    /// Events arrive as they happen.
    Live,
    /// The connection broke, and another one is being made.
    Reconnecting,
    /// The server said that it will be back in a moment.
    Restarting,
    /// The batch was removed, and no other connection is made.
    Removed,
}

impl Connection {
    /// The word in `data-connection`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Reconnecting => "reconnecting",
            Self::Restarting => "restarting",
            Self::Removed => "removed",
        }
    }
}

/// A batch that is being watched.
#[derive(Clone, Copy)]
pub struct Channel {
    /// How the batch stands.
    pub summary: RwSignal<Summary>,
    /// Whether the page has the squares that the summary speaks of, or cannot have them because no connection can be made.
    pub has_squares: RwSignal<bool>,
    /// How the connection stands.
    pub connection: RwSignal<Connection>,
    /// The server's clock, a few times a second while the batch runs.
    pub now: RwSignal<Timestamp>,
    /// What the workers are doing, once it was told.
    pub load: RwSignal<Option<Load>>,
    /// Settled squares a second over the last seconds, once that can be told.
    pub rate: RwSignal<Option<f64>>,
    /// Changes when there is something to paint.
    painted: RwSignal<u64>,
    viewer: StoredValue<Viewer>,
    #[cfg_attr(not(feature = "hydrate"), allow(dead_code, reason = "only a browser measures"))]
    samples: StoredValue<Rate>,
}

impl Channel {
    /// How long this lap has run, or took, in milliseconds.
    pub(crate) fn elapsed(self) -> u64 {
        self.summary.with(|summary| summary.ended_at.unwrap_or_else(|| self.now.get()).millis_since(summary.started_at))
    }

    /// Whether the batch has still something to run.
    pub(crate) fn is_running(self) -> bool {
        self.summary.with(|summary| !summary.status.is_over())
    }

    /// Whether the batch is over, and the page shows how: a finish is not told before its squares are there.
    pub(crate) fn is_over(self) -> bool {
        self.has_squares.get() && !self.is_running()
    }

    /// The word in `data-status`.
    pub(crate) fn status_word(self) -> &'static str {
        if self.has_squares.get() { self.summary.with(|summary| summary.status.as_str()) } else { "loading" }
    }

    /// What is known of a square, in a form that changes when the square does: its lap, and whether it is done or failed.
    pub(crate) fn outcome_of(self, square: Square) -> (u32, &'static str) {
        self.painted.track();
        let lap = self.summary.with(|summary| summary.lap);
        let state = self.viewer.with_value(|viewer| {
            let quilt = viewer.quilt()?;
            quilt.grid().index(square).map(|index| state_name(quilt.square(index)))
        });
        (lap, state.unwrap_or_default())
    }

    /// Runs the caller again when there is something new to paint.
    pub(crate) fn track_painting(self) {
        self.painted.track();
    }

    /// Hands the quilt and what has to be painted to `paint`, unless nothing has arrived yet.
    pub(crate) fn take_dirty(self, paint: impl FnOnce(&Quilt, Dirty)) {
        self.viewer.update_value(|viewer| {
            let dirty = viewer.take_dirty();
            if let Some(quilt) = viewer.quilt() {
                paint(quilt, dirty);
            }
        });
    }
}

/// Watches a batch: connects to its channel, stays connected, and folds what arrives. On the server everything stays as it is in `view`.
#[must_use]
pub fn use_channel(view: &BatchView) -> Channel {
    let channel = Channel {
        summary: RwSignal::new(view.summary.clone()),
        has_squares: RwSignal::new(view.summary.spec.grid.squares() <= MAX_ELEMENTS),
        connection: RwSignal::new(Connection::Connecting),
        now: RwSignal::new(view.now),
        load: RwSignal::new(None),
        rate: RwSignal::new(None),
        painted: RwSignal::new(0),
        viewer: StoredValue::new(Viewer::default()),
        samples: StoredValue::new(Rate::default()),
    };
    #[cfg(feature = "hydrate")]
    socket::connect(channel, view.id, view.now);
    channel
}

//! A batch's events as signals.
//!
//! # Layout
//!
//! - [`use_channel`]: a batch's quilt, its progress and the connection, for the page of that batch
//! - `viewer`: folds messages into a quilt, and notes which squares have to be painted
//! - `replay`: the batch once more, from its journal
//! - `pace`: how fast squares settle
//! - `backoff`: when to connect again
//! - `socket` (in the browser): the WebSocket

#[cfg_attr(not(feature = "hydrate"), allow(dead_code, reason = "only a browser connects"))]
mod backoff;
mod pace;
#[cfg_attr(not(feature = "hydrate"), allow(dead_code, reason = "only a browser asks"))]
mod replay;
#[cfg(feature = "hydrate")]
mod socket;
#[cfg_attr(not(feature = "hydrate"), allow(dead_code, reason = "only a browser receives frames"))]
mod viewer;

use std::sync::Arc;

use leptos::prelude::*;
use quilt::wire::{ClientFrame, Load};
use quilt::{BatchId, Quilt, Race, Square, Summary, Timestamp};

use crate::look::Standing;
use crate::model::{ActionError, BatchView};
use crate::request;
use crate::squares::MAX_ELEMENTS;
pub(crate) use pace::Pace;
use pace::Samples;
pub(crate) use replay::Replay;
pub(crate) use viewer::Dirty;
use viewer::Viewer;

/// How much of a journal is taken in at once, in bytes. That takes some milliseconds at most.
const JOURNAL_BUDGET: usize = 64 * 1024;

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

/// How far a page is with the attempts, which it is told of only if it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Following {
    /// It has not asked.
    No,
    /// It reads what came before.
    Reading,
    /// It knows them all, and is told of the others as they come.
    Live,
}

type Say = Arc<dyn Fn(&ClientFrame) + Send + Sync>;

/// A batch that is being watched.
#[derive(Clone, Copy)]
pub(crate) struct Channel {
    batch: BatchId,
    /// How the batch stands.
    pub(crate) summary: RwSignal<Summary>,
    /// Whether the page has the squares that the summary speaks of, or cannot have them because no connection can be made.
    pub(crate) has_squares: RwSignal<bool>,
    /// How the connection stands.
    pub(crate) connection: RwSignal<Connection>,
    /// The server's clock, a few times a second while the batch runs.
    pub(crate) now: RwSignal<Timestamp>,
    /// What the workers are doing, once it was told.
    pub(crate) load: RwSignal<Option<Load>>,
    /// How fast squares settle, once that can be told.
    pub(crate) pace: RwSignal<Option<Pace>>,
    /// How far the page is with the attempts.
    pub(crate) following: RwSignal<Following>,
    /// Changes when there is something to paint.
    painted: RwSignal<u64>,
    /// Changes when more is known of the attempts.
    raced: RwSignal<u64>,
    viewer: StoredValue<Viewer>,
    /// Sends a frame, once there is a connection.
    say: StoredValue<Option<Say>>,
    #[cfg_attr(not(feature = "hydrate"), allow(dead_code, reason = "only a browser measures"))]
    samples: StoredValue<Samples>,
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

    /// How a square stands, and in which lap.
    pub(crate) fn standing_of(self, square: Square) -> (u32, Option<Standing>) {
        self.painted.track();
        let lap = self.summary.with(|summary| summary.lap);
        let standing = self.with_shown(|quilt, race| {
            let position = quilt.order().position(quilt.grid().index(square)?);
            Some(Standing::of(quilt.at(position), race.last_try(position)))
        });
        (lap, standing.flatten())
    }

    /// Runs the caller again when there is something new to paint.
    pub(crate) fn track_painting(self) {
        self.painted.track();
    }

    /// Runs the caller again when more is known of the attempts.
    pub(crate) fn track_race(self) {
        self.raced.track();
    }

    /// Hands over what is painted, once there is something.
    pub(crate) fn with_shown<T>(self, look: impl FnOnce(&Quilt, &Race) -> T) -> Option<T> {
        let shown = self.viewer.try_with_value(|viewer| viewer.shown().map(|quilt| look(quilt, viewer.race())));
        shown.flatten()
    }

    /// Hands over the batch as it stands, once that is known.
    pub(crate) fn with_quilt<T>(self, look: impl FnOnce(&Quilt, &Race) -> T) -> Option<T> {
        let known = self.viewer.try_with_value(|viewer| viewer.quilt().map(|quilt| look(quilt, viewer.race())));
        known.flatten()
    }

    /// Hands over what is known of the attempts.
    pub(crate) fn with_race<T>(self, look: impl FnOnce(&Race) -> T) -> Option<T> {
        self.viewer.try_with_value(|viewer| look(viewer.race()))
    }

    /// What has to be painted since this was last asked.
    pub(crate) fn take_dirty(self) -> Dirty {
        self.viewer.try_update_value(Viewer::take_dirty).unwrap_or(Dirty::All)
    }

    /// Has everything painted anew.
    pub(crate) fn repaint(self) {
        self.viewer.update_value(Viewer::repaint);
        self.paint();
    }

    /// Asks for the attempts, those that were made and those to come.
    pub(crate) fn follow(self) {
        if self.following.get_untracked() == Following::No {
            self.read_on();
        }
    }

    /// Paints a moment of the batch's past from now on, or the batch as it stands.
    pub(crate) fn set_replay(self, replay: Option<Replay>) {
        self.viewer.update_value(|viewer| viewer.set_replay(replay));
        self.paint();
    }

    /// Paints another moment of the past, as soon as it has come to it: that may take some frames.
    pub(crate) fn seek(self, until: Timestamp) {
        self.viewer.update_value(|viewer| viewer.seek(until));
        self.approach();
    }

    /// Reads the journal of the batch.
    pub(crate) async fn journal(self, after: u64) -> Result<Vec<u8>, ActionError> {
        request::get_bytes(&format!("/api/batches/{}/journal?after={after}", self.batch)).await
    }

    fn approach(self) {
        // About what a frame has time for.
        let is_there = self.viewer.try_update_value(|viewer| viewer.advance_replay(4 * JOURNAL_BUDGET));
        self.paint();
        if is_there == Some(false) {
            request_animation_frame(move || self.approach());
        }
    }

    fn read_on(self) {
        self.following.set(Following::Reading);
        leptos::task::spawn_local(async move {
            let after = self.with_race(|race| race.offset().0).unwrap_or_default();
            match self.journal(after).await {
                Ok(journal) => self.take_in(journal, 0),
                // It is asked for again when there is a reason.
                Err(_) => {
                    let _ = self.following.try_set(Following::No);
                }
            }
        });
    }

    /// Takes a journal in from a place on, a part at a time, so that the page stays alive.
    fn take_in(self, journal: Vec<u8>, start: usize) {
        let taken = self.viewer.try_update_value(|viewer| {
            let mut rest = journal.get(start..).unwrap_or_default();
            viewer.read_journal(&mut rest, JOURNAL_BUDGET).map(|()| journal.len() - rest.len())
        });
        let Some(Ok(next)) = taken else {
            // What cannot be read will not be so the next time.
            let _ = self.following.try_set(Following::No);
            return;
        };
        self.paint();
        if next < journal.len() {
            set_timeout(move || self.take_in(journal, next), std::time::Duration::ZERO);
        } else {
            self.following.set(Following::Live);
            self.say_follow();
        }
        self.raced.update(|raced| *raced += 1);
    }

    fn say_follow(self) {
        if self.following.get_untracked() == Following::Live
            && let Some(after) = self.with_race(Race::offset)
            && let Some(say) = self.say.get_value()
        {
            say(&ClientFrame::Follow { after });
        }
    }

    fn paint(self) {
        // Gone with its page.
        let _ = self.painted.try_update(|painted| *painted += 1);
    }
}

/// Watches a batch: connects to its channel, stays connected, and folds what arrives. On the server everything stays as it is in `view`.
#[must_use]
pub(crate) fn use_channel(view: &BatchView) -> Channel {
    let channel = Channel {
        batch: view.id,
        summary: RwSignal::new(view.summary.clone()),
        has_squares: RwSignal::new(view.summary.spec.grid.squares() <= MAX_ELEMENTS),
        connection: RwSignal::new(Connection::Connecting),
        now: RwSignal::new(view.now),
        load: RwSignal::new(None),
        pace: RwSignal::new(None),
        following: RwSignal::new(Following::No),
        painted: RwSignal::new(0),
        raced: RwSignal::new(0),
        viewer: StoredValue::new(Viewer::new(&view.summary)),
        say: StoredValue::new(None),
        samples: StoredValue::new(Samples::default()),
    };
    #[cfg(feature = "hydrate")]
    socket::connect(channel, view.now);
    channel
}

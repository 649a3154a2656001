//! Everything that the page of a batch knows.

use quilt::wire::Load;
use quilt::{BatchId, Grid, Index, Position, Quilt, Race, Square, SquareState, Status, Step, Summary, Timestamp};

use super::look::{Look, Standing};
use super::pace::{Pace, Samples};
use super::results::Results;
use super::viewer::Viewer;
use super::zoom::Zoom;
use crate::model::{ActionError, BatchView};
use crate::request::Record;
use crate::squares::MAX_ELEMENTS;

/// What the page knows of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
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
    pub(crate) fn as_str(self) -> &'static str {
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
    /// They cannot be read.
    Failed,
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

/// The state of one batch's page.
pub(crate) struct State {
    pub(crate) id: BatchId,
    /// Whether the visitor may control the batch.
    pub(crate) is_own: bool,
    pub(crate) grid: Grid,
    /// How the batch stands.
    pub(crate) summary: Summary,
    pub(crate) connection: Connection,
    /// The server's clock, a few times a second while the batch runs.
    pub(crate) now: Timestamp,
    /// What the workers are doing, once it was told.
    pub(crate) load: Option<Load>,
    /// How fast squares settle, once that can be told.
    pub(crate) pace: Option<Pace>,
    pub(super) samples: Samples,
    /// The quilt, and what is known of its attempts.
    pub(super) viewer: Viewer,
    pub(crate) following: Following,
    /// Grows when there is something new to draw of the race.
    pub(super) race_version: u32,
    pub(crate) is_race_open: bool,
    pub(crate) look: Look,
    /// Which part of the quilt is in sight, where it is on a canvas.
    pub(crate) zoom: Option<Zoom>,
    /// The scale that the address asks for, until it is known how large the window is.
    pub(super) wanted_scale: Option<f64>,
    /// The square that the keyboard is at.
    pub(crate) focused: Option<Square>,
    /// Whether the focus is to be moved there.
    pub(super) takes_focus: bool,
    /// The square that the pointer is at.
    pub(super) pointed_at: Option<Square>,
    /// The square of which more is told, and what is known of it.
    pub(crate) chosen: Option<Square>,
    pub(crate) details: Option<(Square, Result<Record, ActionError>)>,
    pub(crate) receipt: Option<Record>,
    pub(crate) results: Results,
    pub(crate) playback: Option<Playback>,
    /// Grows with each time that a replay starts to move: what moved it before does so no more.
    pub(super) plays: u32,
    /// Whether the batch crossed its finish line before the visitor's eyes.
    pub(crate) has_seen_finish: bool,
    /// What is said of something that was just done, such as a link that was copied.
    pub(crate) notice: &'static str,
}

impl State {
    /// As the server saw the batch.
    pub(crate) fn new(view: BatchView, columns: &str) -> Self {
        let BatchView { id, is_own, summary, now } = view;
        let grid = summary.spec.grid;
        Self {
            id,
            is_own,
            grid,
            connection: Connection::Connecting,
            now,
            load: None,
            pace: None,
            samples: Samples::default(),
            viewer: Viewer::new(&summary),
            summary,
            following: Following::No,
            race_version: 0,
            is_race_open: grid.squares() <= crate::panels::race::OPEN_UP_TO,
            look: Look::default(),
            zoom: None,
            wanted_scale: None,
            focused: None,
            takes_focus: false,
            pointed_at: None,
            chosen: None,
            details: None,
            receipt: None,
            results: Results::new(columns),
            playback: None,
            plays: 0,
            has_seen_finish: false,
            notice: "",
        }
    }

    /// Whether there are too many squares for each to be an element.
    pub(super) fn is_on_canvas(&self) -> bool {
        self.grid.squares() > MAX_ELEMENTS
    }

    /// How long this lap has run, or took, in milliseconds.
    pub(crate) fn elapsed(&self) -> u64 {
        self.summary.ended_at.unwrap_or(self.now).millis_since(self.summary.started_at)
    }

    /// Whether the batch has still something to run.
    pub(crate) fn is_running(&self) -> bool {
        !self.summary.status.is_over()
    }

    /// Whether the visitor may put failed squares back, where there are any.
    pub(crate) fn can_retry(&self) -> bool {
        self.is_own && self.summary.status == Status::Finished && self.connection != Connection::Removed
    }

    /// The batch as it stands, once that is known.
    pub(crate) fn quilt(&self) -> Option<&Quilt> {
        self.viewer.quilt()
    }

    /// What is known of the attempts.
    pub(crate) fn race(&self) -> &Race {
        self.viewer.race()
    }

    /// What has been seen, to be told to the server.
    pub(super) fn step(&self) -> Option<Step> {
        self.viewer.step()
    }

    /// How a square that is shown stands.
    pub(crate) fn standing_of(&self, square: Square) -> Option<Standing> {
        let scene = self.viewer.scene(self.look)?;
        Some(scene.standing(scene.quilt.position_of(square)?))
    }

    /// What is told of the square that the pointer or the keyboard is at.
    pub(crate) fn readout(&self) -> Option<String> {
        let index = self.grid.index(self.pointed_at?)?;
        self.viewer.scene(self.look).map(|scene| scene.label(index))
    }

    /// The failed square after the one that has the focus, in reading order; the first one after the last.
    pub(super) fn next_failure(&self) -> Option<Square> {
        let here = self.focused.and_then(|square| self.grid.index(square));
        let quilt = self.quilt()?;
        let positions = (0..quilt.progress().tasks).map(Position);
        let failed = positions.filter(|position| matches!(quilt.at(*position), SquareState::Failed(_)));
        // Those behind the focus come before those in front of it.
        let rank = |index: &Index| (here.is_some_and(|here| *index <= here), *index);
        failed.map(|position| quilt.order().index(position)).min_by_key(rank).map(|index| self.grid.square(index))
    }

    /// Moves the focus to a square.
    pub(super) fn focus(&mut self, square: Square) {
        self.focused = Some(square);
        self.pointed_at = Some(square);
        self.takes_focus = true;
    }

    /// Brings what is told of the batch up to the quilt.
    pub(super) fn publish(&mut self) {
        let Some(summary) = self.quilt().map(Quilt::summary) else { return };
        let is_news = (summary.lap, summary.status) != (self.summary.lap, self.summary.status);
        if is_news {
            self.race_version += 1;
        }
        // Over a lap that was running when it was last looked at, here on this page.
        let was_running = self.is_running() || self.summary.lap < summary.lap;
        if is_news {
            self.has_seen_finish = was_running && summary.status == Status::Finished;
        }
        if !summary.status.is_over() {
            // What goes on is not looked at in the past.
            self.end_replay();
        }
        self.summary = summary;
    }

    /// How often a square was tried, as far as that is known, and in which lap the batch is.
    pub(super) fn attempts_at(&self, square: Square) -> (u32, u8) {
        let last = self.quilt().and_then(|quilt| self.race().last_try(quilt.position_of(square)?));
        (self.summary.lap, last.map_or(0, |last| last.number))
    }

    /// Looks at the quilt in another way.
    pub(super) fn set_look(&mut self, look: Look) {
        if look != self.look {
            self.look = look;
            self.viewer.repaint();
        }
    }
}

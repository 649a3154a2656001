//! The visitor's view of a batch.

use std::time::Duration;

use super::shared::later;
use leptos::prelude::*;
use quilt::{Grid, Square};
use viewer::{Look, Zoom};

/// The race panel starts open in quilts of up to this many squares. For larger ones, reading the journal takes too long to do it unasked.
const MAX_SQUARES_WITH_OPEN_RACE: u32 = 65_536;

/// How long a notice is displayed.
const NOTICE_DURATION: Duration = Duration::from_secs(10);

/// A message about the visitor's last action. The number makes a repeated text a new notice, so that it is announced again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) number: u32,
    pub(crate) words: &'static str,
}

/// The state of a replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Playback {
    /// The displayed moment, in milliseconds from the start of the replay.
    pub(crate) at_ms: f64,
    /// The length of the replay at the speed of the batch, in milliseconds.
    pub(crate) length_ms: u64,
    /// Whether the replay is playing.
    pub(crate) is_playing: bool,
    /// The speed in thousandths of real time.
    pub(crate) speed: u32,
    /// Incremented each time the replay starts to play, so that an earlier animation loop ends.
    pub(super) generation: u32,
}

/// The signals that the visitor changes.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// Which value colors show, and the filter.
    pub(crate) look: RwSignal<Look>,
    /// The visible part, if the quilt is on a canvas.
    pub(crate) zoom: RwSignal<Option<Zoom>>,
    /// The square with the keyboard focus.
    pub(crate) focused: RwSignal<Option<Square>>,
    /// The square under the pointer, or else the focused one.
    pub(crate) pointed_at: RwSignal<Option<Square>>,
    /// The square whose details are open.
    pub(crate) chosen: RwSignal<Option<Square>>,
    /// The chosen reason of failures; empty if none is chosen. Its squares stand out, and the table has no others.
    pub(crate) reason: RwSignal<String>,
    /// The replay, if one is open.
    pub(crate) playback: RwSignal<Option<Playback>>,
    /// Whether the picture that the tasks drew is displayed over their squares.
    pub(crate) is_picture: RwSignal<bool>,
    /// Whether a replay opens once the journal is read.
    pub(crate) is_replay_requested: RwSignal<bool>,
    /// Whether the race panel is open.
    pub(crate) is_race_open: RwSignal<bool>,
    /// Whether the table of results is open.
    pub(crate) is_results_open: RwSignal<bool>,
    /// The latest notice.
    pub(crate) notice: RwSignal<Notice>,
}

impl View {
    /// The view of a newly opened page.
    pub(crate) fn new(grid: Grid) -> Self {
        Self {
            look: RwSignal::new(Look::default()),
            zoom: RwSignal::new(None),
            focused: RwSignal::new(None),
            pointed_at: RwSignal::new(None),
            chosen: RwSignal::new(None),
            reason: RwSignal::new(String::new()),
            playback: RwSignal::new(None),
            is_picture: RwSignal::new(false),
            is_replay_requested: RwSignal::new(false),
            is_race_open: RwSignal::new(grid.squares() <= MAX_SQUARES_WITH_OPEN_RACE),
            is_results_open: RwSignal::new(false),
            notice: RwSignal::new(Notice::default()),
        }
    }

    /// Displays a notice for [`NOTICE_DURATION`].
    pub(crate) fn notify(self, words: &'static str) {
        let Some(before) = self.notice.try_get_untracked() else { return };
        let number = before.number.wrapping_add(1);
        self.notice.set(Notice { number, words });
        later(move || self.clear_notice(number), NOTICE_DURATION);
    }

    /// Removes the notice, unless another one replaced it.
    fn clear_notice(self, number: u32) {
        if self.notice.try_get_untracked().is_some_and(|notice| notice.number == number) {
            self.notice.set(Notice { number, words: "" });
        }
    }

    /// Changes the visible part, if the quilt is on a canvas.
    pub(crate) fn update_zoom(self, change: impl FnOnce(Zoom) -> Zoom) {
        if let Some(zoom) = self.zoom.get_untracked() {
            self.zoom.set(Some(change(zoom)));
        }
    }

    /// Changes the look. A look without a reason has no chosen one.
    pub(crate) fn update_look(self, change: impl FnOnce(Look) -> Look) {
        let look = change(self.look.get_untracked());
        if look != self.look.get_untracked() {
            self.look.set(look);
        }
        if look.reason.is_none() && !self.reason.with_untracked(String::is_empty) {
            self.reason.set(String::new());
        }
    }
}

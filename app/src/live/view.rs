//! How the visitor looks at a batch.

use std::time::Duration;

use super::shared::later;
use leptos::prelude::*;
use quilt::{Grid, Square};
use viewer::{Look, Zoom};

/// Quilts up to this size show the race from the start; for larger ones there is more to read first than everybody wants.
const RACE_OPEN_UP_TO: u32 = 65_536;

/// How long a message is displayed.
const NOTICE_TIME: Duration = Duration::from_secs(10);

/// A message about something that the visitor just did. The number makes the same words a new message, so that they are announced again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) number: u32,
    pub(crate) words: &'static str,
}

/// A moment of the batch's past, and whether it moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Playback {
    /// The moment, in milliseconds since the launch.
    pub(crate) at_ms: f64,
    /// The length of the batch, in milliseconds.
    pub(crate) length_ms: f64,
    /// Whether it moves.
    pub(crate) is_playing: bool,
    /// How many times faster than it was.
    pub(crate) speed: f64,
    /// Grows each time it starts to move, so that an earlier motion ends.
    pub(super) run: u32,
}

/// The signals that the visitor changes.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// What the colors show.
    pub(crate) look: RwSignal<Look>,
    /// The visible part, where the quilt is on a canvas.
    pub(crate) zoom: RwSignal<Option<Zoom>>,
    /// The square that the keyboard is at.
    pub(crate) focused: RwSignal<Option<Square>>,
    /// The square under the pointer, or else the focused one.
    pub(crate) pointed_at: RwSignal<Option<Square>>,
    /// The square whose details are open.
    pub(crate) chosen: RwSignal<Option<Square>>,
    /// The replay, if there is one.
    pub(crate) playback: RwSignal<Option<Playback>>,
    /// Whether the race is open.
    pub(crate) is_race_open: RwSignal<bool>,
    /// Whether the table of results is open.
    pub(crate) is_results_open: RwSignal<bool>,
    /// The latest message.
    pub(crate) notice: RwSignal<Notice>,
}

impl View {
    /// As a page opens.
    pub(crate) fn new(grid: Grid) -> Self {
        Self {
            look: RwSignal::new(Look::default()),
            zoom: RwSignal::new(None),
            focused: RwSignal::new(None),
            pointed_at: RwSignal::new(None),
            chosen: RwSignal::new(None),
            playback: RwSignal::new(None),
            is_race_open: RwSignal::new(grid.squares() <= RACE_OPEN_UP_TO),
            is_results_open: RwSignal::new(false),
            notice: RwSignal::new(Notice::default()),
        }
    }

    /// Shows a message for a while.
    pub(crate) fn notify(self, words: &'static str) {
        let Some(before) = self.notice.try_get_untracked() else { return };
        let number = before.number.wrapping_add(1);
        self.notice.set(Notice { number, words });
        later(move || self.clear_notice(number), NOTICE_TIME);
    }

    /// Removes the message, unless another one took its place.
    fn clear_notice(self, number: u32) {
        if self.notice.try_get_untracked().is_some_and(|notice| notice.number == number) {
            self.notice.set(Notice { number, words: "" });
        }
    }

    /// Changes the visible part, where the quilt is on a canvas.
    pub(crate) fn update_zoom(self, change: impl FnOnce(Zoom) -> Zoom) {
        if let Some(zoom) = self.zoom.get_untracked() {
            self.zoom.set(Some(change(zoom)));
        }
    }

    /// Changes what the colors show.
    pub(crate) fn update_look(self, change: impl FnOnce(Look) -> Look) {
        let look = change(self.look.get_untracked());
        if look != self.look.get_untracked() {
            self.look.set(look);
        }
    }
}

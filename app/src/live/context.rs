//! The context of a batch's components.

use leptos::html::Div;
use leptos::prelude::*;
use quilt::{BatchId, Square, Status};
use viewer::{Connection, layout};

use super::channel::Channel;
use super::clock::local_time;
use super::stage::Stage;
use super::view::View;
use crate::functions::Control;

/// A handle to a live batch and the visitor's view of it. All copies refer to the same batch.
#[derive(Clone, Copy)]
pub(crate) struct Batch {
    /// Its id.
    pub(crate) id: BatchId,
    /// Whether the visitor launched it.
    pub(crate) is_own: bool,
    /// The most attempts per task that the server allows, for a number field.
    pub(crate) max_attempts: Signal<String>,
    /// The longest timeout of an attempt that the server allows, in seconds, for a number field.
    pub(crate) max_timeout_s: Signal<String>,
    /// Its state.
    pub(crate) channel: Channel,
    /// The visitor's view of it.
    pub(crate) view: View,
    /// The painter of its quilt.
    pub(crate) stage: Stage,
    /// The finish banner.
    pub(crate) finish: NodeRef<Div>,
    /// Sends commands. All commands share one action, because each type of action adds code to the WebAssembly.
    pub(crate) control: ServerAction<Control>,
}

/// Returns the batch of the page from the context.
pub(crate) fn use_batch() -> Batch {
    expect_context()
}

impl Batch {
    /// Whether the visitor may control the batch while it runs.
    pub(crate) fn can_control(self) -> bool {
        self.can_stop() && !self.is_draining()
    }

    /// Whether the visitor may stop the batch.
    pub(crate) fn can_stop(self) -> bool {
        self.is_own && self.channel.is_running() && !self.is_removed()
    }

    /// Whether the batch is stopping and only waits for running tasks.
    pub(crate) fn is_draining(self) -> bool {
        self.channel.status.get() == Status::Draining
    }

    /// Whether the visitor may start another lap.
    pub(crate) fn can_retry(self) -> bool {
        self.is_own && self.channel.status.get().is_over() && !self.is_removed()
    }

    /// Whether the connection was lost, so that everything displayed is old.
    pub(crate) fn is_stale(self) -> bool {
        self.channel.connection.get().is_stale()
    }

    /// The time of day of the last message, if the connection was lost since.
    pub(crate) fn stale_since(self) -> Option<String> {
        self.is_stale().then(|| local_time(self.channel.signals.now.get_untracked()))
    }

    /// Whether the batch was deleted while the page was open.
    pub(crate) fn is_removed(self) -> bool {
        self.channel.connection.get() == Connection::Removed
    }

    /// The URL of the picture that the tasks drew together; `None` if their kind of work draws none. A rendered square is a single pixel of it.
    pub(crate) fn picture(self) -> Option<String> {
        let draws = self.channel.signals.summary.with_untracked(|summary| summary.spec.work.kind == "image");
        draws.then(|| format!("/api/batches/{}/results?format=png", self.id))
    }

    /// Moves the keyboard focus to a square of the quilt.
    pub(crate) fn focus(self, square: Square) {
        self.stage.focus(self.channel, self.view, square);
    }

    /// Moves the keyboard focus to a square and opens its details.
    pub(crate) fn choose(self, square: Square) {
        if self.view.chosen.get_untracked() != Some(square) {
            self.view.chosen.set(Some(square));
        }
        self.focus(square);
    }

    /// Closes the details of the chosen square and moves the keyboard focus back to it. Returns whether one was chosen.
    pub(crate) fn close_square(self) -> bool {
        let chosen = self.view.chosen.get_untracked();
        if let Some(square) = chosen {
            self.view.chosen.set(None);
            self.focus(square);
        }
        chosen.is_some()
    }

    /// Moves the keyboard focus to a square, if the quilt contains it.
    pub(crate) fn show(self, square: Square) {
        if self.grid().index(square).is_some() {
            self.focus(square);
        } else {
            self.view.notify("There is no such square.");
        }
    }

    /// Moves the keyboard focus to the next failed square.
    pub(crate) fn show_next_failure(self) {
        let here = self.view.focused.get_untracked();
        match self.channel.quilt.with_untracked(|viewer| viewer.next_failure(here)).flatten() {
            Some(square) => self.focus(square),
            None => self.view.notify("No square has failed."),
        }
    }

    /// Whether the quilt is drawn on a canvas, where a single cell represents all squares.
    pub(crate) fn is_on_canvas(self) -> bool {
        self.grid().squares() > viewer::MAX_ELEMENTS
    }

    /// The current shape of the quilt.
    pub(crate) fn grid(self) -> quilt::Grid {
        self.channel.signals.summary.get_untracked().spec.grid
    }

    /// Enlarges by a factor, around the focused square if it is visible.
    pub(crate) fn zoom(self, factor: f64) {
        let focused = self.view.focused.get_untracked().and_then(|square| layout::place_of(self.grid(), square));
        self.view.update_zoom(|zoom| zoom.stepped_at(factor, focused));
    }

    /// Shows the whole quilt.
    pub(crate) fn zoom_to_whole(self) {
        // The zoom clamps this to its minimum.
        self.zoom(0.0);
    }
}

//! Restores the keyboard focus when the control that has it is removed.

use leptos::prelude::*;
use quilt::Square;
use send_wrapper::SendWrapper;
use wasm_bindgen::JsCast;
use web_sys::{FocusEvent, HtmlElement};

use super::context::Batch;
use super::shared::{Shared, before_frame, effect};

/// The element of the page that had the keyboard focus last.
#[derive(Clone, Copy)]
pub(crate) struct Focus(Shared<Option<SendWrapper<HtmlElement>>>);

/// Moves the keyboard focus to the finish banner, or else to the quilt, when the control that has it is removed. Browsers would reset it to the top of the page.
pub(crate) fn use_focus(batch: Batch) -> Focus {
    let focus = Focus(Shared::new(None));
    let view = batch.view;
    effect(move || {
        // The signals that add or remove controls.
        let _ = (batch.can_control(), batch.can_retry(), batch.is_removed());
        view.playback.with(Option::is_some);
        view.chosen.track();
        batch.channel.signals.summary.track();
        // Controls are removed before the next frame.
        before_frame(move || focus.restore(batch));
    });
    focus
}

impl Focus {
    /// Records the focused element.
    pub(crate) fn moved(self, event: &FocusEvent) {
        let element = event.target().and_then(|target| target.dyn_into().ok());
        self.0.with(|focused| *focused = element.map(SendWrapper::new));
    }

    fn restore(self, batch: Batch) {
        let was_removed = self.0.with(|focused| focused.take_if(|element| !element.is_connected()).is_some());
        let is_nowhere = document().active_element().is_none_or(|element| element.tag_name() == "BODY");
        if was_removed == Some(true) && is_nowhere {
            match batch.finish.get_untracked() {
                // A failure to focus is harmless.
                Some(banner) => drop(banner.focus()),
                None => batch.focus(batch.view.focused.get_untracked().unwrap_or(Square { row: 0, column: 0 })),
            }
        }
    }
}

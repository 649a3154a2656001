//! Runs a function at most once per frame, however often it is requested.

use std::sync::Arc;
use std::time::Duration;

use leptos::ev;
use leptos::prelude::*;

use super::shared::{Shared, before_frame, effect, later};

/// The delay of a run while the page is hidden, because a hidden page has no frames.
const HIDDEN_INTERVAL: Duration = Duration::from_millis(250);

/// Requests that the function given to [`use_frames`] runs before the browser draws the next frame.
#[derive(Clone, Copy)]
pub(crate) struct Frames {
    run: StoredValue<Arc<dyn Fn() + Send + Sync>>,
    is_requested: Shared<bool>,
}

/// Calls `run` once before each frame for which it was requested, and immediately when the page becomes visible or hidden.
pub(crate) fn use_frames(run: impl Fn() + Send + Sync + 'static) -> Frames {
    let frames = Frames { run: StoredValue::new(Arc::new(run)), is_requested: Shared::new(false) };
    effect(move || {
        let shown = window_event_listener_untyped("visibilitychange", move |_: ev::Event| frames.run());
        on_cleanup(move || shown.remove());
    });
    frames
}

impl Frames {
    /// Requests a run. Does nothing if one is already requested or the reactive owner is gone.
    pub(crate) fn request(self) {
        let was_requested = self.is_requested.with(|requested| std::mem::replace(requested, true));
        if was_requested != Some(false) {
            return;
        }
        if document().hidden() {
            later(move || self.run(), HIDDEN_INTERVAL);
        } else {
            before_frame(move || self.run());
        }
    }

    fn run(self) {
        self.is_requested.with(|requested| *requested = false);
        if let Some(run) = self.run.try_get_value() {
            run();
        }
    }
}

//! Runs something once a frame, however often it is requested.

use std::sync::Arc;
use std::time::Duration;

use leptos::ev;
use leptos::prelude::*;

use super::shared::{Shared, before_frame, effect, later};

/// How often a hidden page runs it: it has no frames.
const HIDDEN_INTERVAL: Duration = Duration::from_millis(250);

/// Requests that the function given to [`use_frames`] runs before the browser draws the next frame.
#[derive(Clone, Copy)]
pub(crate) struct Frames {
    run: StoredValue<Arc<dyn Fn() + Send + Sync>>,
    is_requested: Shared<bool>,
}

/// Calls `run` once before each frame in which that was requested, and at once when a hidden page becomes visible or is hidden.
pub(crate) fn use_frames(run: impl Fn() + Send + Sync + 'static) -> Frames {
    let frames = Frames { run: StoredValue::new(Arc::new(run)), is_requested: Shared::new(false) };
    effect(move || {
        let shown = window_event_listener_untyped("visibilitychange", move |_: ev::Event| frames.run());
        on_cleanup(move || shown.remove());
    });
    frames
}

impl Frames {
    /// Requests a run. Does nothing if one is requested already, or the owner is gone.
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

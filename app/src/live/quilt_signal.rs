//! A signal around the fold of a batch.

use leptos::prelude::*;
use quilt::Summary;
use viewer::Viewer;

use super::shared::Shared;

/// The viewer with a version signal, so that its up to a million squares stay out of the reactive graph.
#[derive(Clone, Copy)]
pub(crate) struct QuiltSignal {
    version: RwSignal<u32>,
    viewer: Shared<Viewer>,
}

impl QuiltSignal {
    pub(super) fn new(summary: &Summary) -> Self {
        Self { version: RwSignal::new(0), viewer: Shared::new(Viewer::new(summary)) }
    }

    /// Reads the viewer and tracks its changes. `None` if the reactive owner is gone.
    pub(crate) fn with<T>(self, look: impl FnOnce(&Viewer) -> T) -> Option<T> {
        self.track();
        self.with_untracked(look)
    }

    /// Reads the viewer without tracking it.
    pub(crate) fn with_untracked<T>(self, look: impl FnOnce(&Viewer) -> T) -> Option<T> {
        self.viewer.with(|viewer| look(viewer))
    }

    /// Tracks changes of the viewer.
    pub(crate) fn track(self) {
        self.version.track();
    }

    /// Changes the viewer. Readers are updated by [`QuiltSignal::notify`]. `None` if the reactive owner is gone.
    pub(crate) fn update<T>(self, change: impl FnOnce(&mut Viewer) -> T) -> Option<T> {
        self.viewer.with(change)
    }

    /// Notifies readers that the viewer has changed.
    pub(crate) fn notify(self) {
        self.version.try_update(|version| *version = version.wrapping_add(1));
    }
}

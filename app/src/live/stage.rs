//! Paints the quilt when its signals change.

use leptos::prelude::*;
use leptos_use_media_query::use_media_query;
use painter::Painter;
use quilt::Square;
use send_wrapper::SendWrapper;
use viewer::address::Place;
use viewer::layout;
use viewer::{Scene, Viewer, Zoom};
use web_sys::HtmlElement;

use super::channel::Channel;
use super::shared::{Shared, effect};
use super::view::View;

/// A handle to the painter. All copies refer to the same painter.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    /// Empty on the server, where a request moves between threads. DOM elements must stay on one thread.
    painter: Shared<Option<SendWrapper<Painter>>>,
    /// The visible part from the URL, until the painter exists and can apply it.
    pub(super) wanted_place: Shared<Option<Place>>,
}

impl Stage {
    /// A stage without a painter. It is created with the first snapshot.
    pub(crate) fn new() -> Self {
        Self { painter: Shared::new(None), wanted_place: Shared::new(None) }
    }

    /// Moves the keyboard focus to a square.
    pub(crate) fn focus(self, channel: Channel, view: View, square: Square) {
        view.focused.set(Some(square));
        view.pointed_at.set(Some(square));
        let element = self.with_scene(channel, view, |painter, scene| {
            let element = painter.move_to(scene, scene.grid().index(square)?);
            view.zoom.set(painter.zoom());
            element
        });
        if let Some(element) = element.flatten() {
            // Focusing calls the quilt's event handlers, so nothing may be borrowed here. If it fails, the focus stays where it is.
            let _ = element.focus();
        }
    }

    /// Adapts the painter to a changed window size.
    fn resize(self, view: View) {
        let zoom = self.painter.with(|painter| {
            let painter = painter.as_mut()?;
            painter.resize();
            painter.zoom()
        });
        view.zoom.try_set(zoom.flatten());
    }

    /// Paints changed squares, as many as this frame has time for.
    fn paint(self, channel: Channel, view: View, zoom: Option<Zoom>) {
        let is_done = self.painter.with(|painter| {
            let painter = painter.as_mut()?;
            let dirty = channel.quilt.update(Viewer::take_dirty)?;
            let finish = channel.signals.summary.get_untracked().last_across;
            let finish = finish.filter(|_| view.playback.get_untracked().is_none());
            let look = view.look.get_untracked();
            let paint = |viewer: &Viewer| {
                let scene = viewer.scene(look)?;
                if let Some(zoom) = zoom.filter(|zoom| painter.zoom() != Some(*zoom)) {
                    painter.set_zoom(scene, zoom);
                }
                let is_done = painter.paint(scene, dirty);
                painter.mark_last_across(scene, finish.and_then(|square| scene.grid().index(square)));
                Some((is_done, painter.zoom()))
            };
            channel.quilt.with_untracked(paint)?
        });
        let Some(Some((is_done, zoom))) = is_done else { return };
        if zoom != view.zoom.get_untracked() {
            view.zoom.set(zoom);
        }
        if !is_done {
            channel.request_frame();
        }
    }

    /// Creates the painter once a snapshot has arrived.
    fn create_painter(self, channel: Channel, view: View, grid: &HtmlElement) {
        if self.painter.with(|painter| painter.is_some()) == Some(true) {
            return;
        }
        let look = view.look.get_untracked();
        let wanted_place = self.wanted_place.with(|place| *place).flatten();
        let painter = channel.quilt.with_untracked(|viewer| {
            let scene = viewer.scene(look)?;
            let mut painter = Painter::new(scene, grid)?;
            if let Some((place, zoom)) = wanted_place.zip(painter.zoom()) {
                let chosen = view.chosen.get_untracked().and_then(|square| layout::place_of(scene.grid(), square));
                painter.set_zoom(scene, zoom.at_place(place, chosen));
            }
            Some(painter)
        });
        if let Some(Some(painter)) = painter {
            self.painter.with(|place| *place = Some(SendWrapper::new(painter)));
            self.wanted_place.with(|place| *place = None);
            // A new painter has to paint all squares.
            channel.quilt.update(Viewer::repaint);
        }
    }

    fn with_scene<T>(self, channel: Channel, view: View, act: impl FnOnce(&mut Painter, Scene<'_>) -> T) -> Option<T> {
        let look = view.look.get_untracked();
        self.painter.with(|painter| {
            let painter = painter.as_mut()?;
            channel.quilt.with_untracked(|viewer| Some(act(painter, viewer.scene(look)?)))?
        })?
    }
}

/// Paints the quilt into `grid`, the element with the ARIA role `grid`, whenever the batch or the look changes.
pub(crate) fn use_painter(stage: Stage, channel: Channel, view: View, grid: NodeRef<leptos::html::Div>) {
    let mut painted_look = view.look.get_untracked();
    // This paints in the same frame, because the signals are written before the browser draws and effects run right after.
    effect(move || {
        let look = view.look.get();
        if painted_look != look {
            channel.quilt.update(Viewer::repaint);
            painted_look = look;
        }
        let zoom = view.zoom.get();
        channel.quilt.track();
        if let Some(grid) = grid.get() {
            stage.create_painter(channel, view, &grid);
            stage.paint(channel, view, zoom);
        }
    });
    let is_dark = use_media_query("(prefers-color-scheme: dark)");
    let mut painted_dark = None;
    effect(move || {
        let is_dark = is_dark.get();
        if painted_dark.is_some_and(|before: bool| before != is_dark) {
            stage.painter.with(|painter| painter.iter_mut().for_each(|painter| painter.update_theme()));
            channel.quilt.update(Viewer::repaint);
            channel.quilt.notify();
        }
        painted_dark = Some(is_dark);
    });
    effect(move || {
        let resized = window_event_listener(leptos::ev::resize, move |_| stage.resize(view));
        on_cleanup(move || resized.remove());
    });
}

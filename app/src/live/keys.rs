//! Keyboard shortcuts that work everywhere on the page except in fields.

use leptos::html::{Dialog, Div, Input};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent};

use super::context::Batch;
use super::playback;
use super::shared::effect;

/// The elements that keys open or focus, and the switch for single keys.
#[derive(Clone, Copy)]
pub(crate) struct Targets {
    /// The dialog with the list of keys.
    pub(crate) help: NodeRef<Dialog>,
    /// The field for a row and a column.
    pub(crate) go_to: NodeRef<Input>,
    /// What fills the screen.
    pub(crate) body: NodeRef<Div>,
    /// Whether keys without a modifier work. Visitors who use speech input, or press keys by accident, can switch them off.
    pub(crate) has_single_keys: Signal<bool>,
}

/// Listens for keys until the reactive owner is disposed.
pub(crate) fn use_keys(batch: Batch, targets: Targets) {
    effect(move || {
        let pressed = window_event_listener(leptos::ev::keydown, move |event| on_key(batch, targets, &event));
        on_cleanup(move || pressed.remove());
    });
}

fn on_key(batch: Batch, targets: Targets, event: &KeyboardEvent) {
    if event.alt_key() || event.meta_key() || event.ctrl_key() || event.default_prevented() {
        return;
    }
    let is_modal = targets.help.get_untracked().is_some_and(|dialog| dialog.open());
    if is_modal {
        return;
    }
    let key = event.key();
    if key == "Escape" {
        return close(batch);
    }
    if is_in_field(event) || !targets.has_single_keys.get_untracked() {
        return;
    }
    match key.as_str() {
        "f" => batch.show_next_failure(),
        "/" => {
            if let Some(field) = targets.go_to.get_untracked() {
                // A failure to focus is harmless.
                let _ = field.focus();
            }
        }
        "?" => open(targets.help),
        "w" => toggle_full_screen(targets.body),
        "+" | "=" => batch.zoom(viewer::zoom::STEP_FACTOR),
        "-" => batch.zoom(1.0 / viewer::zoom::STEP_FACTOR),
        "0" => batch.zoom_to_whole(),
        _ => return,
    }
    event.prevent_default();
}

/// Opens a dialog.
pub(crate) fn open(dialog: NodeRef<Dialog>) {
    if let Some(dialog) = dialog.get_untracked() {
        // Fails only if the dialog is open already.
        let _ = dialog.show_modal();
    }
}

/// Fills the screen with an element, or leaves full screen.
pub(crate) fn toggle_full_screen(body: NodeRef<Div>) {
    if document().fullscreen_element().is_some() {
        document().exit_fullscreen();
    } else if let Some(body) = body.get_untracked() {
        // Fails only if the browser or the visitor forbids it.
        let _ = body.request_fullscreen();
    }
}

/// Closes what is open: the square, then the replay, then the filters.
fn close(batch: Batch) {
    let view = batch.view;
    if batch.close_square() {
        return;
    }
    if view.playback.get_untracked().is_some() {
        playback::end(batch);
    } else {
        view.update_look(|look| viewer::Look { during: None, ..look.with_only(None) });
    }
}

fn is_in_field(event: &KeyboardEvent) -> bool {
    let element = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    element.is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA"))
}

//! Whether keys such as `f` do something wherever the focus is. Who speaks to the machine, or hits keys by accident, can switch that off.

use leptos::prelude::window;
use web_sys::Storage;

use super::commands::input;

/// The checkbox that says so, and the name under which the browser remembers it.
pub(super) const SWITCH: &str = "single-keys";

const OFF: &str = "off";

/// Sets the switch to what was chosen on an earlier page.
pub(super) fn recall() {
    let was_off = storage().and_then(|storage| storage.get_item(SWITCH).ok().flatten()).is_some_and(|kept| kept == OFF);
    if let Some(switch) = input(SWITCH) {
        switch.set_checked(!was_off);
    }
}

/// Remembers how the switch is set. Where the browser keeps nothing, it holds for this page.
pub(super) fn remember() {
    if let Some(storage) = storage() {
        let _ = if are_on() { storage.remove_item(SWITCH) } else { storage.set_item(SWITCH, OFF) };
    }
}

pub(super) fn are_on() -> bool {
    input(SWITCH).is_none_or(|switch| switch.checked())
}

fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

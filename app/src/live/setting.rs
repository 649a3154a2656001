//! Settings in the browser's local storage.

use leptos::prelude::*;
use web_sys::Storage;

use super::shared::effect;

/// The stored value of a switch that is off.
const STORED_OFF: &str = "off";

/// A handle to a switch. All copies refer to the same switch.
#[derive(Clone, Copy)]
pub(crate) struct Switch {
    name: &'static str,
    is_on: RwSignal<bool>,
}

/// The switch with this name. It is on until the visitor switches it off.
pub(crate) fn use_switch(name: &'static str) -> Switch {
    let switch = Switch { name, is_on: RwSignal::new(true) };
    // Effects run only in the browser.
    effect(move || {
        let stored = storage().and_then(|storage| storage.get_item(name).ok()?);
        if stored.as_deref() == Some(STORED_OFF) {
            switch.is_on.set(false);
        }
    });
    switch
}

impl Switch {
    /// Whether it is on.
    pub(crate) fn is_on(self) -> Signal<bool> {
        self.is_on.into()
    }

    /// Sets and stores the switch.
    pub(crate) fn set(self, is_on: bool) {
        self.is_on.set(is_on);
        if let Some(storage) = storage() {
            // If it cannot be stored, the setting lasts until the page is left.
            let _ = if is_on { storage.remove_item(self.name) } else { storage.set_item(self.name, STORED_OFF) };
        }
    }
}

/// The local storage. `None` if the visitor has disabled it.
fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

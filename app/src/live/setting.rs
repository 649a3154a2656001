//! Settings that the browser keeps for this site.

use leptos::prelude::*;
use web_sys::Storage;

use super::shared::effect;

/// What is stored for a switch that is off.
const OFF: &str = "off";

/// A switch. A handle: all copies are the same.
#[derive(Clone, Copy)]
pub(crate) struct Switch {
    name: &'static str,
    is_on: RwSignal<bool>,
}

/// The switch of a name. It is on until the visitor has switched it off.
pub(crate) fn use_switch(name: &'static str) -> Switch {
    let switch = Switch { name, is_on: RwSignal::new(true) };
    // Effects run in the browser alone.
    effect(move || {
        let stored = storage().and_then(|storage| storage.get_item(name).ok()?);
        if stored.as_deref() == Some(OFF) {
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

    /// Switches it, for as long as the browser keeps it.
    pub(crate) fn set(self, is_on: bool) {
        self.is_on.set(is_on);
        if let Some(storage) = storage() {
            // Without room for it, it is kept until the page is left.
            let _ = if is_on { storage.remove_item(self.name) } else { storage.set_item(self.name, OFF) };
        }
    }
}

/// Visitors may have switched it off.
fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

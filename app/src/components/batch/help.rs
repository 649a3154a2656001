//! The dialog with the keyboard shortcuts.

use leptos::html::{Dialog, Div, Input};
use leptos::prelude::*;

use crate::components::shared::on;
use crate::live::keys::{Targets, use_keys};
use crate::live::setting::use_switch;
use crate::live::use_batch;

/// The list of keys, as HTML. The server renders it, and hydration keeps it.
#[cfg(not(feature = "ssr"))]
const KEYS_HTML: &str = "";

#[cfg(feature = "ssr")]
const KEYS_HTML: &str = concat!(
    "<dt><kbd>↑</kbd> <kbd>↓</kbd> <kbd>←</kbd> <kbd>→</kbd></dt><dd>to the next square</dd>",
    "<dt><kbd>Home</kbd> <kbd>End</kbd></dt><dd>to the ends of a row; with <kbd>Ctrl</kbd>, of the quilt</dd>",
    "<dt><kbd>Page ↑</kbd> <kbd>Page ↓</kbd></dt><dd>first and last row</dd>",
    "<dt><kbd>Enter</kbd></dt><dd>open details</dd>",
    "<dt><kbd>f</kbd></dt><dd>to the next failure</dd>",
    "<dt><kbd>/</kbd></dt><dd>to a square by its row and column, or its index</dd>",
    "<dt><kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd></dt><dd>larger, smaller, the whole of a large quilt</dd>",
    "<dt><kbd>Ctrl</kbd> + wheel</dt><dd>larger, smaller; without <kbd>Ctrl</kbd> while a square has the focus</dd>",
    "<dt><kbd>w</kbd></dt><dd>full screen</dd>",
    "<dt><kbd>?</kbd></dt><dd>these shortcuts</dd>",
    "<dt><kbd>Esc</kbd></dt><dd>back: close the square, end the replay, show all squares</dd>",
);

/// The dialog that `?` opens. It also installs the key handlers, because it contains their switch.
#[component]
pub(crate) fn Help(help: NodeRef<Dialog>, go_to: NodeRef<Input>, body: NodeRef<Div>) -> impl IntoView {
    let single_keys = use_switch("single-keys");
    let is_on = single_keys.is_on();
    use_keys(use_batch(), Targets { help, go_to, body, has_single_keys: is_on });
    view! {
        <dialog class="help" aria-labelledby="help-title" node_ref=help>
            <form method="dialog">
                <h2 id="help-title">"Shortcuts"</h2>
                <dl inner_html=KEYS_HTML></dl>
                <p>
                    <label>
                        <input
                            type="checkbox"
                            checked
                            autocomplete="off"
                            prop:checked=is_on
                            on:change=on(move |event| single_keys.set(event_target_checked(&event)))
                        />
                        " Single-key shortcuts, such as "
                        <kbd>"f"</kbd>
                        ", work everywhere on the page"
                    </label>
                </p>
                <button class="button">"Close"</button>
            </form>
        </dialog>
    }
}

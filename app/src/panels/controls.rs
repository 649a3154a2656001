//! What the owner of a batch can do with it while it runs.

use quilt::Status;

use crate::components::post_form::{action, button, form};
use crate::page::{Connection, State};

/// Pause or resume, and cancel. Nothing once the batch is over.
pub(super) fn html(state: &State) -> String {
    if !can_control(state) {
        return String::new();
    }
    let id = state.id;
    let is_paused = state.summary.status == Status::Paused;
    let pause = format!(
        r#"<input type="hidden" name="paused" value="{}">{}"#,
        !is_paused,
        // One button with two names, so that the focus stays where it is.
        button("pause", "", if is_paused { "Resume" } else { "Pause" })
    );
    form(action::SET_PAUSED, id, &pause) + &form(action::CANCEL, id, &button("cancel", "", "Cancel"))
}

/// How many tasks may run at the same time. Nothing once the batch is over.
pub(super) fn concurrency_html(state: &State) -> String {
    if !can_control(state) {
        return String::new();
    }
    let value = state.summary.concurrency.map(|limit| limit.to_string()).unwrap_or_default();
    let fields = format!(
        r#"<label><span>Tasks at the same time</span><input type="number" id="concurrency" inputmode="numeric" name="concurrency" min="1" max="65536" step="1" placeholder="no limit" value="{value}"></label>{}"#,
        button("set-concurrency", "", "Set")
    );
    format!(r#"<div class="concurrency">{}</div>"#, form(action::SET_CONCURRENCY, state.id, &fields))
}

/// Of a batch that was removed there is nothing left to control.
fn can_control(state: &State) -> bool {
    state.is_own && state.is_running() && state.connection != Connection::Removed
}

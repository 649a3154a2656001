//! The view in the address, so that a link opens the same one.

use leptos::prelude::window;
use quilt::Square;
use wasm_bindgen::JsValue;

use super::look::{self, Look, square, value};
use super::state::State;

/// Looks at the quilt as the address says.
pub(super) fn read(state: &mut State) {
    let query = window().location().search().unwrap_or_default();
    state.set_look(Look::from_query(&query, look::is_dark()));
    let scale = value(&query, "zoom").and_then(|scale| scale.parse().ok());
    state.wanted_scale = scale.filter(|scale: &f64| scale.is_finite() && *scale > 0.0);
    if let Some(square) = value(&query, "square").and_then(square).filter(|square| state.grid.index(*square).is_some())
    {
        state.chosen = Some(square);
        state.focused = Some(square);
    }
}

/// Enlarges the quilt as the address says, once it is known how large the window is; whether it does.
pub(super) fn zoom(state: &mut State) -> bool {
    let (Some(scale), Some(zoom)) = (state.wanted_scale.take(), state.zoom) else { return false };
    let middle = Square { row: state.grid.rows() / 2, column: state.grid.columns() / 2 };
    state.zoom = Some(zoom.at_scale(scale, state.chosen.unwrap_or(middle)));
    true
}

/// Has the address say how the quilt is looked at.
pub(super) fn write(state: &State, shown: &mut String) {
    if state.wanted_scale.is_some() {
        return;
    }
    let scale = state.zoom.filter(|zoom| !zoom.is_whole()).map(|zoom| zoom.scale);
    let query = state.look.query(state.chosen, scale);
    if query == *shown {
        return;
    }
    if let (Ok(path), Ok(history)) = (window().location().pathname(), window().history()) {
        // Refused only where it is done hundreds of times within seconds; then it is tried again with the next change.
        if history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("{path}{query}"))).is_ok() {
            *shown = query;
        }
    }
}

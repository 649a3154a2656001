//! The way through a batch's time.

use super::Panel;
use crate::format;
use crate::html::attribute_if;
use crate::page::{Playback, State};

/// The speeds to choose from, beside the one at first.
const SPEEDS: [f64; 5] = [0.1, 0.5, 1.0, 4.0, 16.0];

/// Nothing while the batch runs; then a button, and once it was pressed what moves through the batch's time.
pub(super) fn html(state: &State) -> String {
    if state.is_running() {
        return String::new();
    }
    let Some(Playback { length_ms, is_playing, speed, .. }) = state.playback else {
        return r#"<button type="button" class="button" id="replay" data-do="replay">Replay</button>"#.into();
    };
    let is_chosen = |choice: f64| (choice - speed).abs() < f64::EPSILON;
    let option = |choice: f64| {
        format!(r#"<option value="{choice}"{}>{choice}×</option>"#, attribute_if(is_chosen(choice), " selected"))
    };
    let own = if SPEEDS.into_iter().any(is_chosen) { String::new() } else { option(speed) };
    format!(
        concat!(
            r#"<button type="button" class="button" id="replay" data-do="play">{play}</button>"#,
            // Its value is set by itself: it is not made anew while somebody holds it.
            r#"<input type="range" id="moment" aria-label="Moment of the replay" min="0" max="{length}" step="any" value="0">{moment}"#,
            r#"<select id="speed" aria-label="Speed">{own}{others}</select>"#,
            r#"<button type="button" class="button" id="replay-end" data-do="replay-end">End the replay</button>"#
        ),
        play = if is_playing { "Pause replay" } else { "Play" },
        length = length_ms,
        moment = Panel::ReplayMoment.slot(),
        own = own,
        others = SPEEDS.map(option).concat(),
    )
}

/// The moment in words.
pub(super) fn moment_html(state: &State) -> String {
    state.playback.map_or(String::new(), |Playback { at_ms, length_ms, .. }| {
        format!(
            r#"<span class="moment">{} of {}</span>"#,
            format::duration(at_ms as u64),
            format::duration(length_ms as u64)
        )
    })
}

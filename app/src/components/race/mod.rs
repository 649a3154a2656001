//! The race panel: progress and workers over time, durations, the nodes and the stragglers.

mod axis;
mod brush;
mod durations;
mod nodes;
mod rows;
mod running;
mod stragglers;
mod timeline;

use leptos::prelude::*;

use crate::components::shared::{When, flag, is_details_open, on, text};
use crate::live::{Following, use_batch};
use durations::Durations;
use nodes::Nodes;
use stragglers::Stragglers;
use timeline::Timeline;

/// The race panel. Its content is only computed while it is open.
#[component]
pub(crate) fn Race() -> impl IntoView {
    let batch = use_batch();
    let (signals, is_open) = (batch.channel.signals, batch.view.is_race_open);
    let was_open = is_open.get_untracked();
    let is_empty = flag(move || {
        signals.race_version.track();
        // A replay starts without attempts, and its charts stay.
        let is_empty = |viewer: &viewer::Viewer| !viewer.is_replaying() && viewer.race().lanes().is_empty();
        batch.channel.quilt.with_untracked(is_empty) != Some(false)
    });
    let waiting = text(move || {
        match signals.following.get() {
            Following::No | Following::Reading => "Reading the attempts…",
            Following::Live => "No attempt has ended yet.",
            Following::Failed => "The attempts could not be read. Please load the page again.",
        }
        .into()
    });
    view! {
        <details class="race" id="race" open=was_open on:toggle=on(move |event: web_sys::Event| is_open.set(is_details_open(&event)))>
            <summary>"The race"</summary>
            <When condition=flag(move || is_open.get() && is_empty.get())>
                <p class="quiet">{waiting}</p>
            </When>
            <When condition=flag(move || is_open.get() && !is_empty.get())>
                <Timeline />
                <Durations />
                <Stragglers />
                <Nodes />
            </When>
        </details>
    }
}

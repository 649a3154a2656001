//! The race: how tasks got done over time, how long attempts took, who ran what, and who is still on the way.

mod charts;
mod lanes;
mod nodes;
mod running;
mod stragglers;

use leptos::prelude::*;

use crate::components::shared::{When, flag, is_details_open, on, text};
use crate::live::{Following, use_batch};
use charts::Charts;
use lanes::Lanes;
use nodes::Nodes;
use stragglers::Stragglers;

/// Empty while it is closed: there is much to compute.
#[component]
pub(crate) fn Race() -> impl IntoView {
    let batch = use_batch();
    let (told, is_open) = (batch.channel.told, batch.view.is_race_open);
    let was_open = is_open.get_untracked();
    let is_empty = flag(move || {
        told.race_version.track();
        batch.channel.quilt.with_untracked(|viewer| viewer.race().lanes().is_empty()) != Some(false)
    });
    let waiting = text(move || {
        match told.following.get() {
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
                <Charts />
                <Stragglers />
                <h3>"Workers"</h3>
                <Lanes />
                <Nodes />
            </When>
        </details>
    }
}

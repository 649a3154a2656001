//! The race: how tasks got done over time, how long attempts took, who ran what, and who is still on the way.

mod charts;
mod lanes;
mod nodes;
mod stragglers;

use leptos::prelude::*;
use quilt::Square;
use quilt::wire::Running;
use viewer::Viewer;

use crate::components::shared::{When, flag, on, text};
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

/// Whether the element of a `toggle` event is open.
pub(crate) fn is_details_open(event: &web_sys::Event) -> bool {
    let element = event.target().and_then(|target| wasm_bindgen::JsCast::dyn_into::<web_sys::Element>(target).ok());
    element.is_some_and(|element| element.has_attribute("open"))
}

/// The square that a worker runs, if the quilt has it.
fn square_of(viewer: &Viewer, running: Running) -> Option<Square> {
    let quilt = viewer.quilt()?;
    (running.position.0 < quilt.progress().tasks).then(|| quilt.place_of(running.position))
}

//! The tools below the quilt.

use leptos::html::{Dialog, Div, Input};
use leptos::prelude::*;
use leptos::task::spawn_local;
use quilt::number::decimal;
use viewer::address;

use crate::components::shared::{When, flag, on, text};
use crate::live::keys::{open, toggle_full_screen};
use crate::live::{Batch, tab, use_batch};

/// Controls to go to a square, zoom, copy a link, download a picture and get notified.
#[component]
pub(crate) fn Toolbar(help: NodeRef<Dialog>, go_to: NodeRef<Input>, body: NodeRef<Div>) -> impl IntoView {
    let batch = use_batch();
    let id = batch.id;
    // Rendered squares are the pixels of a picture. For other kinds the server draws one pixel per square, enlarged.
    let kind = batch.channel.signals.summary.with_untracked(|summary| summary.spec.work.kind.clone());
    let picture = match kind.as_str() {
        "image" | "render" => format!("/api/batches/{id}/results?format=png"),
        _ => format!("/batches/{id}/quilt.png"),
    };
    let has_none_failed = flag(move || batch.channel.progress.get().failed == 0);
    let is_over = flag(move || !batch.channel.is_running());
    view! {
        <div class="toolbar">
            <label class="go-to">
                "Go to "
                <input
                    size="9"
                    placeholder="row,column"
                    autocomplete="off"
                    node_ref=go_to
                    on:keydown=on(move |event: web_sys::KeyboardEvent| {
                        if event.key() == "Enter" {
                            event.prevent_default();
                            go_to_typed(batch, &event_target_value(&event));
                        }
                    })
                />
            </label>
            <ZoomButtons />
            <button type="button" class="link" on:click=on(move |_| copy_link(batch))>"Copy link"</button>
            <a class="link" id="download" href=picture download=format!("quilt-{id}.png")>"Download PNG"</a>
            <button type="button" class="link" on:click=on(move |_| open(help))>"Shortcuts"</button>
            <button type="button" class="link" on:click=on(move |_| toggle_full_screen(body))>"Full screen"</button>
            // Hidden buttons keep their space, so that the layout stays when they appear.
            <button type="button" class="link" class:reserved=has_none_failed on:click=on(move |_| batch.show_next_failure())>
                "Next failure"
            </button>
            <button type="button" class="link" class:reserved=is_over on:click=on(move |_| ask_to_notify(batch))>
                "Notify me"
            </button>
        </div>
    }
}

/// The zoom buttons, if the quilt is on a canvas.
#[component]
fn ZoomButtons() -> impl IntoView {
    let batch = use_batch();
    let zoom = batch.view.zoom;
    let has_zoom = flag(move || zoom.get().is_some());
    let scale = text(move || zoom.get().map_or(String::new(), |zoom| decimal(zoom.scale, 1) + " px per square"));
    view! {
        <When condition=has_zoom>
            <div class="zoom" role="group" aria-label="Zoom">
                <button type="button" aria-label="Smaller" on:click=on(move |_| batch.zoom(1.0 / viewer::zoom::STEP_FACTOR))>"−"</button>
                <button type="button" on:click=on(move |_| batch.zoom_to_whole())>"Fit"</button>
                <button type="button" aria-label="Larger" on:click=on(move |_| batch.zoom(viewer::zoom::STEP_FACTOR))>"+"</button>
            </div>
            <span class="quiet scale-now">{scale}</span>
        </When>
    }
}

fn go_to_typed(batch: Batch, typed: &str) {
    match address::typed_square(typed, batch.grid()) {
        Some(square) => {
            // Removes an earlier notice.
            batch.view.notify("");
            batch.show(square);
        }
        None => batch.view.notify("That is not a square. Type a row and a column, such as 3,4, or an index."),
    }
}

fn copy_link(batch: Batch) {
    spawn_local(async move {
        let address = window().location().href().unwrap_or_default();
        let navigator = window().navigator();
        if js_sys::Reflect::has(&navigator, &"clipboard".into()) != Ok(true) {
            return batch.view.notify("This browser copies links only over https; please copy the address.");
        }
        let written = wasm_bindgen_futures::JsFuture::from(navigator.clipboard().write_text(&address)).await;
        batch.view.notify(if written.is_ok() { "The link is copied." } else { "The link could not be copied." });
    });
}

fn ask_to_notify(batch: Batch) {
    spawn_local(async move { batch.view.notify(tab::request_permission().await) });
}

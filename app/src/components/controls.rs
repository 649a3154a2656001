//! What the owner of a running batch can do with it.

use leptos::prelude::*;
use quilt::{BatchId, Status};

use crate::actions::{Cancel, SetConcurrency, SetPaused};
use crate::channel::Channel;
use crate::components::banner::Refusal;

/// Pause or resume, and cancel. Nothing once the batch is over.
#[component]
pub(crate) fn Controls(
    /// The batch on the page.
    id: BatchId,
    /// Its channel.
    channel: Channel,
) -> impl IntoView {
    let cancel = ServerAction::<Cancel>::new();
    let pause = ServerAction::<SetPaused>::new();
    let is_running = Memo::new(move |_| channel.is_running());
    let is_paused = Memo::new(move |_| channel.summary.with(|summary| summary.status == Status::Paused));
    view! {
        <Show when=move || is_running.get()>
            // One button with two names, so that the focus stays where it is.
            <ActionForm action=pause>
                <input type="hidden" name="id" value=id.to_string() />
                <input type="hidden" name="paused" value=move || (!is_paused.get()).to_string() />
                <button type="submit" class="button" aria-disabled=move || pause.pending().get().to_string()>
                    {move || if is_paused.get() { "Resume" } else { "Pause" }}
                </button>
            </ActionForm>
            <ActionForm action=cancel>
                <input type="hidden" name="id" value=id.to_string() />
                <button type="submit" class="button" disabled=move || cancel.pending().get()>"Cancel"</button>
            </ActionForm>
        </Show>
        <Refusal value=cancel.value() />
        <Refusal value=pause.value() />
    }
}

/// How many tasks may run at the same time. Only its owner sees this, and only while the batch runs.
#[component]
pub(crate) fn Concurrency(
    /// The batch on the page.
    id: BatchId,
    /// Whether the visitor may change it.
    is_own: bool,
    /// Its channel.
    channel: Channel,
) -> impl IntoView {
    let set = ServerAction::<SetConcurrency>::new();
    let is_changeable = Memo::new(move |_| is_own && channel.is_running());
    let limit = Memo::new(move |_| channel.summary.with(|summary| summary.concurrency));
    let value = move || limit.get().map(|limit| limit.to_string()).unwrap_or_default();
    view! {
        <Show when=move || is_changeable.get()>
            <ActionForm action=set attr:class="concurrency">
                <input type="hidden" name="id" value=id.to_string() />
                <label>
                    <span>"Tasks at the same time"</span>
                    <input type="number" inputmode="numeric" name="concurrency" min="1" max="65536" step="1" placeholder="no limit" prop:value=value value=value />
                </label>
                <button type="submit" class="button" disabled=move || set.pending().get()>"Set"</button>
            </ActionForm>
        </Show>
        <Refusal value=set.value() />
    }
}

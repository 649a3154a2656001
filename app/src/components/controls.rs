//! What the owner of a running batch can do with it.

use leptos::prelude::*;
use quilt::{BatchId, Status};

use crate::channel::Channel;
use crate::components::post_form::{PostForm, Posting, Refusal, action};

/// Pause or resume, and cancel. Nothing once the batch is over.
#[component]
pub(crate) fn Controls(
    /// The batch on the page.
    id: BatchId,
    /// Its channel.
    channel: Channel,
    /// Why a form of this page was refused that was posted without JavaScript.
    refusal: Option<String>,
) -> impl IntoView {
    let cancel = Posting::new(None);
    let pause = Posting::new(refusal);
    let is_running = Memo::new(move |_| channel.is_running());
    let is_paused = Memo::new(move |_| channel.summary.with(|summary| summary.status == Status::Paused));
    view! {
        <Show when=move || is_running.get()>
            // One button with two names, so that the focus stays where it is.
            <PostForm action=action::SET_PAUSED id=Some(id) posting=pause>
                <input type="hidden" name="paused" value=move || (!is_paused.get()).to_string() />
                <button type="submit" class="button" aria-disabled=move || pause.is_pending.get().to_string()>
                    {move || if is_paused.get() { "Resume" } else { "Pause" }}
                </button>
            </PostForm>
            <PostForm action=action::CANCEL id=Some(id) posting=cancel>
                <button type="submit" class="button" disabled=move || cancel.is_pending.get()>"Cancel"</button>
            </PostForm>
        </Show>
        <Refusal posting=cancel />
        <Refusal posting=pause />
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
    let set = Posting::new(None);
    let is_changeable = Memo::new(move |_| is_own && channel.is_running());
    let limit = Memo::new(move |_| channel.summary.with(|summary| summary.concurrency));
    let value = move || limit.get().map(|limit| limit.to_string()).unwrap_or_default();
    view! {
        <Show when=move || is_changeable.get()>
            <PostForm action=action::SET_CONCURRENCY id=Some(id) posting=set class="concurrency">
                <label>
                    <span>"Tasks at the same time"</span>
                    <input type="number" inputmode="numeric" name="concurrency" min="1" max="65536" step="1" placeholder="no limit" prop:value=value value=value />
                </label>
                <button type="submit" class="button" disabled=move || set.is_pending.get()>"Set"</button>
            </PostForm>
        </Show>
        <Refusal posting=set />
    }
}

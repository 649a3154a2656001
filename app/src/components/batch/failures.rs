//! The failures of a batch, grouped by reason.

use leptos::prelude::*;
use viewer::format;

use crate::components::forms::{CommandForm, Place, Refusal, Submit};
use crate::components::shared::{Each, When, each, flag, keys, memo_text, on, text};
use crate::live::shared::effect;
use crate::live::{Batch, use_batch};

/// The maximum number of reasons in the list.
const MAX_REASONS: usize = 12;

/// The most frequent reasons, with their counts. Choosing one makes its squares stand out and offers to retry them.
#[component]
pub(crate) fn Failures() -> impl IntoView {
    let batch = use_batch();
    let progress = batch.channel.progress;
    // Within a lap no failed square runs again, so the reasons stay the same until another square fails.
    let failed = memo_text(move || {
        let failed = batch.channel.quilt.with(|viewer| {
            let quilt = viewer.quilt()?;
            Some(format!("{} {}", quilt.lap_number(), quilt.progress().failed))
        });
        failed.flatten().unwrap_or_default()
    });
    // A reason of an address is known once the first square that failed for it is.
    effect(move || {
        let _ = failed.get();
        let id = batch
            .view
            .reason
            .with(|reason| batch.channel.quilt.with_untracked(|viewer| viewer.quilt()?.reason_id(reason)).flatten());
        if let Some(id) = id {
            batch.view.update_look(|look| look.with_reason(id));
        }
    });
    let reasons = keys(move || {
        let _ = failed.get();
        most_frequent(batch)
    });
    let more = text(move || {
        let listed: u32 = reasons.get().iter().map(|reason| failed_for(batch, reason)).sum();
        match progress.get().failed.saturating_sub(listed) {
            0 => String::new(),
            others => format!("{} more for other reasons", format::count(others)),
        }
    });
    view! {
        <When condition=flag(move || { progress.get().failed > 0 })>
            <section class="failures" aria-label="Failures">
                <h2>"Failures"</h2>
                <ul>
                    <Each keys=reasons view=each(move |reason| view! { <Reason reason /> }) />
                </ul>
                <p class="quiet">{more}</p>
                <Refusal place=Place::Failures />
            </section>
        </When>
    }
}

#[component]
fn Reason(reason: String) -> impl IntoView {
    let batch = use_batch();
    let view = batch.view;
    let name = Signal::stored(reason.clone());
    let count = text(move || {
        batch.channel.quilt.track();
        format!("{} × ", name.with(|reason| format::count(failed_for(batch, reason))))
    });
    let is_on = flag(move || view.reason.with(|chosen| name.with(|reason| chosen == reason)));
    let toggle = move || match is_on.get_untracked() {
        true => view.update_look(|look| look.with_only(None)),
        false => view.reason.set(name.get_untracked()),
    };
    view! {
        <li>
            <button
                type="button"
                class="reason"
                aria-pressed=text(move || is_on.get().to_string())
                on:click=on(move |_| toggle())
            >
                <span class="reason-count">{count}</span>
                <bdi>{reason}</bdi>
            </button>
            <When condition=flag(move || is_on.get() && batch.can_retry())>
                <CommandForm name="retry-reason">
                    <input type="hidden" name="command[reason]" value=name />
                    <Submit label="Retry these" />
                    <details class="other-limits">
                        <summary>"With other limits"</summary>
                        <label>
                            "Max attempts per task "
                            <input type="number" name="command[attempts]" min="1" max=batch.max_attempts placeholder="as before" />
                        </label>
                        <label>
                            "Timeout per attempt, in seconds "
                            <input type="number" name="command[timeout_s]" min="0.001" max=batch.max_timeout_s step="any" placeholder="as before" />
                        </label>
                    </details>
                </CommandForm>
            </When>
        </li>
    }
}

/// Reads without tracking.
fn failed_for(batch: Batch, reason: &str) -> u32 {
    let count = batch.channel.quilt.with_untracked(|viewer| viewer.quilt().map(|quilt| quilt.failed_for(reason)));
    count.flatten().unwrap_or_default()
}

/// The most frequent reasons, the largest first. They are inserted into a short list, because sorting is a large part of a download.
/// Reads without tracking, because there may be thousands.
fn most_frequent(batch: Batch) -> Vec<String> {
    let reasons = batch.channel.quilt.with_untracked(|viewer| {
        let mut largest: Vec<(&str, u32)> = Vec::with_capacity(MAX_REASONS + 1);
        for (reason, count) in viewer.quilt()?.reasons() {
            let place = largest.iter().position(|(_, other)| *other < count).unwrap_or(largest.len());
            if place < MAX_REASONS {
                largest.insert(place, (reason, count));
                largest.truncate(MAX_REASONS);
            }
        }
        Some(largest.into_iter().map(|(reason, _)| reason.to_owned()).collect())
    });
    reasons.flatten().unwrap_or_default()
}

//! The finish banner.

use leptos::prelude::*;
use viewer::{format, words};

use super::receipt::Receipt;
use crate::components::forms::{CommandForm, Place, Refusal, Submit};
use crate::components::shared::{Each, When, all, each, flag, keys, maybe, text};
use crate::components::square_link::SquareLink;
use crate::live::{Following, use_batch};

/// How many pieces of confetti there are.
const CONFETTI: u32 = 36;

/// Appears when a lap is over, once for each.
#[component]
pub(crate) fn Banner() -> impl IntoView {
    let summary = use_batch().channel.told.summary;
    let laps = keys(move || {
        let summary = summary.get();
        summary.status.is_over().then(|| summary.lap.to_string()).into_iter().collect()
    });
    view! {
        <div class="banner-place" role="status" aria-label="Finish" aria-atomic="false">
            <Each keys=laps view=each(|_lap| view! { <Lap /> }) />
        </div>
    }
}

#[component]
fn Lap() -> impl IntoView {
    let batch = use_batch();
    let told = batch.channel.told;
    let has_confetti = told.has_seen_finish.get_untracked();
    // There is one from the finish line on, and it stays.
    let last_across = told.summary.get_untracked().last_across;
    view! {
        <div class="banner" data-banner=text(move || told.summary.get().status.as_str().into())>
            {maybe(has_confetti.then(confetti))}
            <h2>{text(move || words::headline(&told.summary.get()))}</h2>
            <p>{text(move || words::detail(&told.summary.get()))}</p>
            // What arrives a moment later is not announced by itself.
            <div class="banner-more" aria-live="off">
                {maybe(last_across.map(|square| view! { <p>"Last across: " <SquareLink square />{behind_median()}</p> }))}
                <Receipt />
                <Actions />
            </div>
            <Refusal place=Place::Banner />
        </div>
    }
}

/// The end of the sentence: how long after half of the others the last square came, once that is known.
fn behind_median() -> Signal<String> {
    let channel = use_batch().channel;
    text(move || {
        let told = channel.told;
        if told.following.get() != Following::Live {
            return ".".into();
        }
        told.race_version.track();
        let median = channel.quilt.with(|viewer| viewer.race().median_ms()).flatten();
        let summary = told.summary.get();
        let took = summary.ended_at.map(|ended_at| ended_at.millis_since(summary.started_at));
        took.zip(median).map_or_else(
            || ".".into(),
            |(took, median)| format!(", {} behind the median.", format::duration(took.saturating_sub(median.into()))),
        )
    })
}

#[component]
fn Actions() -> impl IntoView {
    let batch = use_batch();
    let is_there = flag(move || !batch.is_removed());
    let can_continue = flag(move || batch.can_retry() && batch.channel.progress.get().not_run > 0);
    let can_retry = flag(move || batch.can_retry() && batch.channel.progress.get().failed > 0);
    view! {
        <When condition=is_there>
            <div class="banner-actions">
                <CommandForm name="run-again">
                    <Submit class="primary" label="Run again" />
                    <label class="same-seed">
                        <input type="checkbox" name="command[same_seed]" value="true" />
                        " same seed"
                    </label>
                </CommandForm>
                <When condition=can_continue>
                    <CommandForm name="continue">
                        <Submit label="Continue" />
                    </CommandForm>
                </When>
                <When condition=can_retry>
                    <CommandForm name="retry-failed">
                        <Submit label="Retry failed" />
                    </CommandForm>
                </When>
                {maybe(batch.is_own.then(|| {
                    view! {
                        <CommandForm name="remove">
                            <Submit class="quiet-button" label="Remove" />
                        </CommandForm>
                    }
                }))}
            </div>
        </When>
    }
}

fn confetti() -> impl IntoView {
    // Multiples of numbers that have nothing in common with the moduli are random enough for paper.
    let piece = |number: u32| {
        let (left, turn, fall, wait) = (number * 61 % 100, number * 222 % 360, 10 + number * 37 % 17, number * 97 % 60);
        view! { <i style=format!("left:{left}%;--turn:{turn}deg;--fall:{fall}rem;animation-delay:{wait}0ms")></i> }
    };
    view! { <span class="confetti" aria-hidden="true">{all((0..CONFETTI).map(piece))}</span> }
}

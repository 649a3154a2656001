//! The finish banner.

use leptos::prelude::*;
use viewer::format;
use viewer::{Condition, words};

use super::confirm::ConfirmedCommand;
use super::receipt::Receipt;
use crate::components::forms::{CommandForm, Place, Refusal, Submit};
use crate::components::shared::{Each, When, all, each, flag, keys, maybe, text};
use crate::components::square_link::SquareLink;
use crate::live::{Following, use_batch};

/// The number of pieces of confetti.
const CONFETTI_PIECES: u32 = 36;

/// Shows a banner when a lap ends, once per lap.
#[component]
pub(crate) fn Banner() -> impl IntoView {
    let summary = use_batch().channel.signals.summary;
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
    let signals = batch.channel.signals;
    let has_confetti =
        signals.has_seen_finish.get_untracked() && Condition::of(&signals.summary.get_untracked()) == Condition::Done;
    // It is set at the finish line and does not change afterwards, so it is read once.
    let last_across = signals.summary.get_untracked().last_across;
    view! {
        <div
            class="banner"
            tabindex="-1"
            node_ref=batch.finish
            data-banner=text(move || signals.summary.get().status.as_str().into())
            data-condition=text(move || Condition::of(&signals.summary.get()).as_str().into())
        >
            {maybe(has_confetti.then(confetti))}
            <h2>{text(move || words::headline(&signals.summary.get()))}</h2>
            <p>{text(move || words::detail(&signals.summary.get()))}</p>
            // This content arrives later. Screen readers do not announce it separately.
            <div class="banner-more" aria-live="off">
                {maybe(last_across.map(|square| view! { <p>"Last to finish: " <SquareLink square />{behind_median()}</p> }))}
                <Receipt />
                <Actions />
            </div>
            <Refusal place=Place::Banner />
        </div>
    }
}

/// The end of the "Last across" sentence: the delay of the last square behind the median, once the attempts are known.
fn behind_median() -> Signal<String> {
    let channel = use_batch().channel;
    text(move || {
        let signals = channel.signals;
        if signals.following.get() != Following::Live {
            return ".".into();
        }
        signals.race_version.track();
        let median = channel.quilt.with(|viewer| viewer.race().median_ms()).flatten();
        let summary = signals.summary.get();
        let took = summary.ended_at.map(|ended_at| ended_at.millis_since(summary.started_at));
        took.zip(median).map_or_else(
            || ".".into(),
            |(took, median)| format!(", {} after the median.", format::duration(took.saturating_sub(median.into()))),
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
                // What is left to do comes first.
                <When condition=can_retry>
                    <CommandForm name="retry-failed">
                        <Submit class="primary" label="Retry failed" />
                    </CommandForm>
                </When>
                <When condition=can_continue>
                    <CommandForm name="continue">
                        <Submit class="primary" label="Continue" />
                    </CommandForm>
                </When>
                <CommandForm name="run-again">
                    <Submit label="Run again" />
                    <label class="same-seed">
                        <input type="checkbox" name="command[same_seed]" value="true" />
                        " same seed"
                    </label>
                </CommandForm>
                <a class="link" href=format!("/?from={}", batch.id)>"Run again with changes"</a>
                {maybe(batch.is_own.then(|| {
                    view! {
                        <ConfirmedCommand
                            name="remove"
                            label="Remove"
                            question="Remove this batch and all of its results? This cannot be undone."
                            keep="Keep it"
                        />
                    }
                }))}
            </div>
        </When>
    }
}

fn confetti() -> impl IntoView {
    // Multiples of numbers coprime to the moduli look random enough.
    let piece = |number: u32| {
        let (left, turn, fall, wait) = (number * 61 % 100, number * 222 % 360, 10 + number * 37 % 17, number * 97 % 60);
        view! { <i style=format!("left:{left}%;--turn:{turn}deg;--fall:{fall}rem;animation-delay:{wait}0ms")></i> }
    };
    view! { <span class="confetti" aria-hidden="true">{all((0..CONFETTI_PIECES).map(piece))}</span> }
}

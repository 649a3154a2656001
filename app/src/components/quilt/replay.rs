//! The controls that replay a finished batch.

use leptos::prelude::*;
use viewer::format;

use crate::components::shared::{When, all, flag, on, text};
use crate::live::playback;
use crate::live::use_batch;
use crate::live::view::Playback;

/// The speeds to choose from, in addition to the initial speed.
const SPEEDS: [f64; 5] = [0.1, 0.5, 1.0, 4.0, 16.0];

/// The replay button of a finished batch and, once a replay is open, its controls.
#[component]
pub(crate) fn ReplayControls() -> impl IntoView {
    let batch = use_batch();
    let is_over = flag(move || !batch.channel.is_running());
    let is_open = flag(move || batch.view.playback.get().is_some());
    let is_playing = flag(move || batch.view.playback.get().is_some_and(|playback| playback.is_playing));
    // One button, so that it keeps the keyboard focus.
    let label = text(move || {
        match (is_open.get(), is_playing.get()) {
            (false, _) => "Replay",
            (true, false) => "Play",
            (true, true) => "Pause replay",
        }
        .into()
    });
    view! {
        <div class="replay">
            <When condition=is_over>
                <button
                    type="button"
                    class="button"
                    on:click=on(move |_| {
                        if is_open.get_untracked() { playback::toggle(batch) } else { playback::start(batch) }
                    })
                >
                    {label}
                </button>
                <When condition=is_open>
                    <Moment />
                    <Speed />
                    <button type="button" class="button" on:click=on(move |_| playback::end(batch))>"End the replay"</button>
                </When>
            </When>
        </div>
    }
}

#[component]
fn Moment() -> impl IntoView {
    let batch = use_batch();
    let of = move |value: fn(Playback) -> f64| batch.view.playback.get().map_or(0.0, value);
    let duration = move |value: fn(Playback) -> f64| format::duration(of(value) as u64);
    view! {
        <input
            type="range"
            aria-label="Moment of the replay"
            min="0"
            max=text(move || of(|playback| playback.length_ms).to_string())
            step="any"
            prop:value=text(move || of(|playback| playback.at_ms).to_string())
            aria-valuetext=text(move || duration(|playback| playback.at_ms))
            on:input=on(move |event: web_sys::Event| {
                playback::seek(batch, event_target::<web_sys::HtmlInputElement>(&event).value_as_number());
            })
        />
        <span class="moment">
            {text(move || format!("{} of {}", duration(|playback| playback.at_ms), duration(|playback| playback.length_ms)))}
        </span>
    }
}

#[component]
fn Speed() -> impl IntoView {
    let batch = use_batch();
    // The initial speed is an additional choice, unless it is one of the others.
    let first = batch.view.playback.get_untracked().map_or(1.0, |playback| playback.speed);
    let is = |one: f64, other: f64| (one - other).abs() < f64::EPSILON;
    let own = (!SPEEDS.into_iter().any(|speed| is(speed, first))).then_some(first);
    let option = |speed: f64| {
        view! { <option value=hundredths(speed).to_string() selected=is(speed, first)>{format!("{speed}×")}</option> }
    };
    view! {
        <select
            aria-label="Speed"
            on:change=on(move |event| {
                if let Ok(hundredths) = event_target_value(&event).parse::<u32>() {
                    playback::set_speed(batch, f64::from(hundredths) / 100.0);
                }
            })
        >
            {all(own.into_iter().chain(SPEEDS).map(option))}
        </select>
    }
}

/// A speed in hundredths: speeds have at most two decimals.
fn hundredths(speed: f64) -> u32 {
    (speed * 100.0).round() as u32
}

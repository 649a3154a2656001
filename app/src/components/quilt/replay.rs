//! The controls that replay a finished batch.

use leptos::prelude::*;
use viewer::format;
use viewer::replay::{speed_label, speeds};

use crate::components::shared::{When, all, flag, on, text};
use crate::live::playback;
use crate::live::use_batch;

/// The replay button of a finished batch and, once a replay is open, its controls.
#[component]
pub(crate) fn ReplayControls() -> impl IntoView {
    let batch = use_batch();
    let view = batch.view;
    let is_over = flag(move || !batch.channel.is_running());
    let is_open = flag(move || view.playback.get().is_some());
    let is_playing = flag(move || view.playback.get().is_some_and(|playback| playback.is_playing));
    // One button, so that it keeps the keyboard focus.
    let label = text(move || {
        match (is_open.get(), is_playing.get()) {
            (false, _) if view.is_replay_requested.get() => "Loading…",
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
                <When condition=flag(move || !is_open.get())>
                    <span class="quiet">"Plays the batch again in a few seconds, without the time in which nothing ran."</span>
                </When>
                <When condition=is_open>
                    <Moment />
                    <Speed />
                    <button type="button" class="button" on:click=on(move |_| playback::end(batch))>"End replay"</button>
                </When>
            </When>
        </div>
    }
}

#[component]
fn Moment() -> impl IntoView {
    let batch = use_batch();
    let at = move || batch.view.playback.get().map_or(0, |playback| playback.at_ms as u64);
    let length = move || batch.view.playback.get().map_or(0, |playback| playback.length_ms);
    let clock = text(move || {
        let lap = batch.channel.signals.shown.get().lap;
        let lap = if batch.channel.signals.summary.get().lap > 1 { format!("Lap {lap} · ") } else { String::new() };
        format!("{lap}{} of {}", format::duration(at()), format::duration(length()))
    });
    view! {
        <input
            type="range"
            aria-label="Moment of the replay"
            min="0"
            max=text(move || length().to_string())
            step="any"
            prop:value=text(move || at().to_string())
            aria-valuetext=clock
            on:input=on(move |event: web_sys::Event| {
                playback::seek(batch, event_target::<web_sys::HtmlInputElement>(&event).value_as_number());
            })
        />
        <span class="moment">{clock}</span>
    }
}

#[component]
fn Speed() -> impl IntoView {
    let batch = use_batch();
    let initial = batch.view.playback.get_untracked().map_or(0, |playback| playback.speed);
    let option = |speed: u32| {
        view! { <option value=speed.to_string() selected=speed == initial>{speed_label(speed)}</option> }
    };
    view! {
        <select
            aria-label="Speed"
            on:change=on(move |event| {
                if let Ok(speed) = event_target_value(&event).parse() {
                    playback::set_speed(batch, speed);
                }
            })
        >
            {all(speeds(initial).map(option))}
        </select>
    }
}

//! The batch once more, at any speed: the journal has everything that takes.

use leptos::prelude::*;
use leptos::task::spawn_local;
use quilt::Timestamp;

use crate::channel::Replay;
use crate::components::page::{Page, Playback};
use crate::components::panel::Panel;
use crate::format;

/// How long a whole replay takes at first, in milliseconds.
const LENGTH: f64 = 8_000.0;

/// The speeds to choose from, beside the one at first.
const SPEEDS: [f64; 5] = [0.1, 0.5, 1.0, 4.0, 16.0];

/// Nothing while the batch runs; then a button, and once it was pressed the way through the batch's time.
#[component]
pub(crate) fn ReplayBar(
    /// The page of the batch.
    page: Page,
) -> impl IntoView {
    let is_on = Memo::new(move |_| page.playback.with(Option::is_some));
    let is_playing = Memo::new(move |_| page.playback.get().is_some_and(|playback| playback.is_playing));
    let html = Signal::derive(move || {
        if !page.channel.is_over() {
            return String::new();
        }
        if !is_on.get() {
            return r#"<button type="button" class="button" id="replay" data-do="replay">Replay</button>"#.into();
        }
        let playback = page.playback.get_untracked();
        let length = playback.map_or(1.0, |playback| playback.length_ms);
        let speed = playback.map_or(1.0, |playback| playback.speed);
        let option = |choice: f64| {
            let chosen = crate::html::attribute_if(choice.to_bits() == speed.to_bits(), " selected");
            format!(r#"<option value="{choice}"{chosen}>{choice}×</option>"#)
        };
        let others = SPEEDS.map(option).concat();
        let own =
            if SPEEDS.iter().any(|choice| choice.to_bits() == speed.to_bits()) { String::new() } else { option(speed) };
        format!(
            concat!(
                r#"<button type="button" class="button" id="play" data-do="play">{play}</button>"#,
                r#"<input type="range" id="moment" aria-label="Moment of the replay" min="0" max="{length}" step="any" value="{at}">"#,
                r#"<select id="speed" aria-label="Speed">{own}{others}</select>"#,
                r#"<button type="button" class="button" id="replay-end" data-do="replay-end">End the replay</button>"#
            ),
            play = if is_playing.get() { "Pause replay" } else { "Play" },
            length = length,
            at = playback.map_or(0.0, |playback| playback.at_ms),
            own = own,
            others = others,
        )
    });
    // The range moves by itself, and is not made anew while somebody holds it.
    Effect::new(move |_| {
        if let Some(playback) = page.playback.get()
            && let Some(range) = crate::components::commands::input("moment")
        {
            range.set_value(&playback.at_ms.to_string());
            let text = format!(
                "{} of {}",
                format::duration(playback.at_ms as u64),
                format::duration(playback.length_ms as u64)
            );
            // A valid name.
            let _ = range.set_attribute("aria-valuetext", &text);
        }
    });
    view! {
        <div class="replay">
            <Panel html />
        </div>
    }
}

impl Page {
    /// Reads the journal and plays it from the start.
    pub(crate) fn start_replay(self) {
        let launched_at = self.channel.summary.with_untracked(|summary| summary.created_at);
        let ended_at = self.channel.summary.with_untracked(|summary| summary.ended_at);
        let length_ms = ended_at.map_or(1, |ended_at| ended_at.millis_since(launched_at).max(1)) as f64;
        spawn_local(async move {
            let journal = self.channel.journal(0).await.ok();
            match journal.and_then(|journal| Replay::new(journal).ok()) {
                Some(replay) => {
                    self.channel.set_replay(Some(replay));
                    // To two digits.
                    let speed = (length_ms / LENGTH * 100.0).ceil() / 100.0;
                    let speed = if speed <= 1.0 { speed } else { speed.ceil() };
                    let playback = Playback { at_ms: 0.0, length_ms, is_playing: true, speed };
                    let _ = self.playback.try_set(Some(playback));
                    self.play_on(None);
                }
                None => drop(self.notice.try_set("The journal could not be read; please try again.".into())),
            }
        });
    }

    /// Ends the replay; the page shows the batch as it stands.
    pub(crate) fn end_replay(self) {
        if self.playback.get_untracked().is_some() {
            self.playback.set(None);
            self.channel.set_replay(None);
        }
    }

    /// Shows another moment of the replay.
    pub(crate) fn seek(self, at_ms: f64) {
        let launched_at = self.channel.summary.with_untracked(|summary| summary.created_at);
        self.playback.update(|playback| {
            if let Some(playback) = playback {
                playback.at_ms = at_ms.clamp(0.0, playback.length_ms);
            }
        });
        self.channel.seek(Timestamp(launched_at.0 + at_ms.max(0.0) as u64));
    }

    /// Plays or pauses; at the end it starts anew.
    pub(crate) fn toggle_replay(self) {
        let Some(playback) = self.playback.get_untracked() else { return };
        let at_end = playback.at_ms >= playback.length_ms;
        self.playback.set(Some(Playback { is_playing: !playback.is_playing, ..playback }));
        if !playback.is_playing {
            if at_end {
                self.seek(0.0);
            }
            self.play_on(None);
        }
    }

    /// Moves on with every frame. `before` is when the last one was, by the browser's clock.
    fn play_on(self, before: Option<f64>) {
        request_animation_frame(move || {
            let Some(Some(playback)) = self.playback.try_get_untracked() else { return };
            if !playback.is_playing {
                return;
            }
            let now = js_sys::Date::now();
            let at_ms = playback.at_ms + (now - before.unwrap_or(now)) * playback.speed;
            self.seek(at_ms);
            if at_ms >= playback.length_ms {
                self.playback.update(|playback| {
                    if let Some(playback) = playback {
                        playback.is_playing = false;
                    }
                });
            } else {
                self.play_on(Some(now));
            }
        });
    }
}

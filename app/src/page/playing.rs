//! The batch once more, at any speed: the journal has everything that takes.

use leptos::prelude::*;
use leptos::task::spawn_local;
use quilt::Timestamp;

use super::Page;
use super::replay::Replay;
use super::state::{Playback, State};

/// How long a whole replay takes at first, in milliseconds.
const LENGTH: f64 = 8_000.0;

/// How much of the journal is taken in within a frame, in bytes. That takes some milliseconds.
const BUDGET: usize = 256 * 1024;

impl Page {
    /// Reads the journal and plays it from the start.
    pub(super) fn start_replay(self) {
        spawn_local(async move {
            let journal = self.journal(0).await.ok();
            let replay = journal.and_then(|journal| Replay::new(journal).ok());
            let plays = self.update(|state| match replay {
                Some(replay) if !state.is_running() => {
                    let length = state.summary.ended_at.map_or(1, |end| end.millis_since(state.summary.created_at));
                    let length_ms = length.max(1) as f64;
                    let speed = length_ms / LENGTH;
                    // In round numbers.
                    let speed = if speed <= 1.0 { (speed * 100.0).ceil() / 100.0 } else { speed.ceil() };
                    state.playback = Some(Playback { at_ms: 0.0, length_ms, is_playing: true, speed });
                    state.viewer.set_replay(Some(replay));
                }
                Some(_) => {}
                None => state.notice = "The journal could not be read; please try again.",
            });
            if plays.is_some() {
                self.play();
            }
        });
    }

    /// Plays or pauses; at the end it starts anew.
    pub(super) fn toggle_replay(self) {
        let is_playing = self.update(|state| {
            let playback = state.playback.as_mut()?;
            playback.is_playing = !playback.is_playing;
            let Playback { is_playing, at_ms, length_ms, .. } = *playback;
            if is_playing && at_ms >= length_ms {
                state.seek(0.0);
            }
            Some(is_playing)
        });
        if is_playing.flatten() == Some(true) {
            self.play();
        }
    }

    /// Sets the replay in motion.
    fn play(self) {
        let number = self.update(|state| {
            state.plays += 1;
            state.plays
        });
        if let Some(number) = number {
            self.play_on(number, None);
        }
    }

    /// Shows another moment.
    pub(super) fn seek(self, at_ms: f64) {
        self.update(|state| state.seek(at_ms));
        self.approach();
    }

    /// Comes to the moment that is wanted, which may take some frames.
    fn approach(self) {
        let is_there = self.update(|state| state.viewer.advance_replay(BUDGET));
        if is_there == Some(false) {
            request_animation_frame(move || self.approach());
        }
    }

    /// Moves on with every frame. `before` is when the last one was, by the browser's clock.
    fn play_on(self, number: u32, before: Option<f64>) {
        request_animation_frame(move || {
            let now = js_sys::Date::now();
            let goes_on = self.update(|state| {
                let Some(playback) = state.playback.filter(|playback| playback.is_playing && state.plays == number)
                else {
                    return false;
                };
                let at_ms = playback.at_ms + (now - before.unwrap_or(now)) * playback.speed;
                let goes_on = at_ms < playback.length_ms;
                state.seek(at_ms);
                if let Some(playback) = &mut state.playback {
                    playback.is_playing = goes_on;
                }
                // What is not reached within a frame is in the next one.
                state.viewer.advance_replay(BUDGET);
                goes_on
            });
            match goes_on {
                Some(true) => self.play_on(number, Some(now)),
                _ => self.approach(),
            }
        });
    }
}

impl State {
    /// The page shows the batch as it stands again.
    pub(super) fn end_replay(&mut self) {
        if self.playback.take().is_some() {
            self.viewer.set_replay(None);
        }
    }

    fn seek(&mut self, at_ms: f64) {
        if let Some(playback) = &mut self.playback {
            playback.at_ms = at_ms.clamp(0.0, playback.length_ms);
            self.viewer.seek(Timestamp(self.summary.created_at.0 + playback.at_ms as u64));
        }
    }
}

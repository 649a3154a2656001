//! Replays a finished batch from its journal.

use leptos::prelude::*;
use leptos::task::spawn_local;
use quilt::Timestamp;
use viewer::Replay;

use super::attempts::journal;
use super::context::Batch;
use super::shared::{before_frame, effect};
use super::view::Playback;

/// The approximate length of a replay at its initial speed, in milliseconds.
const INITIAL_REPLAY_MS: f64 = 8_000.0;

/// How many bytes of the journal are folded in one frame. This takes a few milliseconds.
const FRAME_BUDGET_BYTES: usize = 256 * 1024;

/// Ends the replay when the batch runs again, so that the page shows the running lap.
pub(crate) fn end_when_running(batch: Batch) {
    effect(move || {
        if batch.channel.is_running() {
            end(batch);
        }
    });
}

/// Reads the journal and plays it from the launch.
pub(crate) fn start(batch: Batch) {
    spawn_local(async move {
        let replay = journal(batch.channel, 0).await.ok().and_then(|journal| Replay::new(journal).ok());
        let Some(replay) = replay else {
            batch.view.notify("The journal could not be read; please try again.");
            return;
        };
        let Some(summary) = batch.channel.signals.summary.try_get_untracked() else { return };
        // The replay was started twice while the journal was loading.
        if batch.view.playback.get_untracked().is_some() {
            return;
        }
        let Some(ended_at) = summary.ended_at.filter(|_| summary.status.is_over()) else { return };
        let length = ended_at.millis_since(summary.created_at);
        let length_ms = length.max(1) as f64;
        let speed = length_ms / INITIAL_REPLAY_MS;
        // Rounds the speed up to two decimals, or to an integer.
        let speed = if speed <= 1.0 { (speed * 100.0).ceil() / 100.0 } else { speed.ceil() };
        batch.channel.quilt.update(|viewer| viewer.set_replay(Some(replay)));
        batch.view.playback.set(Some(Playback { at_ms: 0.0, length_ms, is_playing: false, speed, generation: 0 }));
        play(batch);
    });
}

/// Plays or pauses. At the end of the replay it starts over.
pub(crate) fn toggle(batch: Batch) {
    match batch.view.playback.get_untracked() {
        Some(playback) if playback.is_playing => {
            batch.view.playback.set(Some(Playback { is_playing: false, ..playback }));
        }
        Some(playback) => {
            if playback.at_ms >= playback.length_ms {
                seek(batch, 0.0);
            }
            play(batch);
        }
        None => {}
    }
}

/// Moves to another moment, in milliseconds since the launch.
pub(crate) fn seek(batch: Batch, at_ms: f64) {
    set_moment(batch, at_ms);
    advance_until_reached(batch);
}

/// Sets the speed, relative to real time.
pub(crate) fn set_speed(batch: Batch, speed: f64) {
    if let Some(playback) = batch.view.playback.get_untracked() {
        batch.view.playback.set(Some(Playback { speed, ..playback }));
    }
}

/// Ends the replay and shows the present state.
pub(crate) fn end(batch: Batch) {
    if batch.view.playback.get_untracked().is_some() {
        batch.view.playback.set(None);
        batch.channel.quilt.update(|viewer| viewer.set_replay(None));
        batch.channel.quilt.notify();
    }
}

fn play(batch: Batch) {
    let Some(playback) = batch.view.playback.get_untracked() else { return };
    let generation = playback.generation.wrapping_add(1);
    batch.view.playback.set(Some(Playback { is_playing: true, generation, ..playback }));
    play_next_frame(batch, generation, None);
}

/// Advances the replay with every frame. `last_frame_at` is the browser's time at the last frame, in milliseconds.
fn play_next_frame(batch: Batch, generation: u32, last_frame_at: Option<f64>) {
    before_frame(move || {
        let now = js_sys::Date::now();
        let playback = batch.view.playback.try_get_untracked().flatten();
        let Some(playback) = playback.filter(|playback| playback.is_playing && playback.generation == generation)
        else {
            return advance_until_reached(batch);
        };
        let at_ms = playback.at_ms + (now - last_frame_at.unwrap_or(now)) * playback.speed;
        set_moment(batch, at_ms);
        if at_ms < playback.length_ms {
            // Events beyond the budget are folded in the next frame.
            advance(batch);
            play_next_frame(batch, generation, Some(now));
        } else {
            batch.view.playback.set(Some(Playback { is_playing: false, at_ms: playback.length_ms, ..playback }));
            advance_until_reached(batch);
        }
    });
}

fn set_moment(batch: Batch, at_ms: f64) {
    let Some(playback) = batch.view.playback.get_untracked() else { return };
    let at_ms = at_ms.clamp(0.0, playback.length_ms);
    let launched_at = batch.channel.signals.summary.get_untracked().created_at.0;
    batch.channel.quilt.update(|viewer| viewer.seek(Timestamp(launched_at + at_ms as u64)));
    batch.view.playback.set(Some(Playback { at_ms, ..playback }));
}

/// Folds as much as one frame has time for. Returns whether the moment is reached.
fn advance(batch: Batch) -> bool {
    let is_reached = batch.channel.quilt.update(|viewer| viewer.advance_replay(FRAME_BUDGET_BYTES));
    batch.channel.quilt.notify();
    is_reached != Some(false)
}

/// Folds until the moment is reached, over as many frames as necessary.
fn advance_until_reached(batch: Batch) {
    if !advance(batch) {
        before_frame(move || advance_until_reached(batch));
    }
}

//! Replays a finished batch from its journal.

use leptos::prelude::*;
use viewer::Viewer;
use viewer::replay::{REAL_TIME, initial_speed};

use super::attempts;
use super::context::Batch;
use super::following::Following;
use super::shared::{before_frame, effect};
use super::view::Playback;

/// How many bytes of the journal are folded in one frame. This takes a few milliseconds.
const FRAME_BUDGET_BYTES: usize = 128 * 1024;

/// How often counts and the race are updated while a replay plays, in milliseconds. Squares are painted with every frame.
const SHOW_INTERVAL_MS: f64 = 150.0;

/// Opens requested replays once the journal is read, and ends the replay when the batch runs again, so that the page shows the running lap.
pub(crate) fn use_playback(batch: Batch) {
    effect(move || {
        if batch.channel.is_running() {
            end(batch);
        }
    });
    let requested = batch.view.is_replay_requested;
    effect(move || {
        if !requested.get() {
            return;
        }
        attempts::start(batch.channel);
        match batch.channel.signals.following.get() {
            Following::No | Following::Reading => return,
            Following::Live => open(batch),
            Following::Failed => batch.view.notify("The journal could not be read. Please try again."),
        }
        requested.set(false);
    });
}

/// Requests a replay from the launch. What is not known yet of the journal is read first.
pub(crate) fn start(batch: Batch) {
    let following = batch.channel.signals.following;
    if following.get_untracked() != Following::Reading {
        following.set(Following::No);
    }
    batch.view.is_replay_requested.set(true);
}

fn open(batch: Batch) {
    let summary = batch.channel.signals.summary.get_untracked();
    let Some(ended_at) = summary.ended_at.filter(|_| summary.status.is_over()) else { return };
    let Some(Some(length_ms)) = batch.channel.quilt.update(|viewer| viewer.start_replay(ended_at)) else {
        return batch.view.notify("This journal cannot be replayed. Please load the page again.");
    };
    let speed = initial_speed(length_ms);
    batch.view.playback.set(Some(Playback { at_ms: 0.0, length_ms, is_playing: false, speed, generation: 0 }));
    seek(batch, 0.0);
    play(batch);
}

/// Plays or pauses. At the end of the replay it starts over.
pub(crate) fn toggle(batch: Batch) {
    match batch.view.playback.get_untracked() {
        Some(playback) if playback.is_playing => {
            batch.view.playback.set(Some(Playback { is_playing: false, ..playback }));
        }
        Some(playback) => {
            if playback.at_ms >= playback.length_ms as f64 {
                seek(batch, 0.0);
            }
            play(batch);
        }
        None => {}
    }
}

/// Moves to another moment, in milliseconds from the start of the replay.
pub(crate) fn seek(batch: Batch, at_ms: f64) {
    set_moment(batch, at_ms);
    advance_until_reached(batch);
}

/// Sets the speed, in thousandths of real time.
pub(crate) fn set_speed(batch: Batch, speed: u32) {
    if let Some(playback) = batch.view.playback.get_untracked() {
        batch.view.playback.set(Some(Playback { speed, ..playback }));
    }
}

/// Ends the replay and shows the present state.
pub(crate) fn end(batch: Batch) {
    if batch.view.playback.get_untracked().is_some() {
        batch.view.playback.set(None);
        batch.channel.quilt.update(Viewer::end_replay);
        batch.channel.show(None, true);
        batch.channel.quilt.notify();
    }
}

fn play(batch: Batch) {
    let Some(playback) = batch.view.playback.get_untracked() else { return };
    let generation = playback.generation.wrapping_add(1);
    batch.view.playback.set(Some(Playback { is_playing: true, generation, ..playback }));
    play_next_frame(batch, generation, None, 0.0);
}

/// Advances the replay with every frame. `last_frame_at` and `shown_at` are the browser's times at the last frame and at the last update of
/// the counts, in milliseconds.
fn play_next_frame(batch: Batch, generation: u32, last_frame_at: Option<f64>, shown_at: f64) {
    before_frame(move || {
        let now = js_sys::Date::now();
        let playback = batch.view.playback.try_get_untracked().flatten();
        let Some(playback) = playback.filter(|playback| playback.is_playing && playback.generation == generation)
        else {
            return advance_until_reached(batch);
        };
        let passed = now - last_frame_at.unwrap_or(now);
        let at_ms = playback.at_ms + passed * f64::from(playback.speed) / f64::from(REAL_TIME);
        if at_ms < playback.length_ms as f64 {
            set_moment(batch, at_ms);
            // Events beyond the budget are folded in the next frame.
            advance(batch);
            let is_due = now - shown_at > SHOW_INTERVAL_MS;
            if is_due {
                show(batch, false);
            }
            play_next_frame(batch, generation, Some(now), if is_due { now } else { shown_at });
        } else {
            batch.view.playback.set(Some(Playback { is_playing: false, ..playback }));
            seek(batch, at_ms);
        }
    });
}

fn set_moment(batch: Batch, at_ms: f64) {
    let Some(playback) = batch.view.playback.get_untracked() else { return };
    let at_ms = at_ms.clamp(0.0, playback.length_ms as f64);
    batch.channel.quilt.update(|viewer| viewer.seek(at_ms as u64));
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
    if advance(batch) {
        show(batch, true);
    } else {
        before_frame(move || advance_until_reached(batch));
    }
}

/// Updates the counts and the race to the moment that was reached.
fn show(batch: Batch, has_jumped: bool) {
    if let Some(moment) = batch.channel.quilt.with_untracked(Viewer::moment).flatten() {
        batch.channel.show(Some(moment), has_jumped);
    }
}

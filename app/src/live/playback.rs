//! Plays a finished batch again: its journal has everything that takes.

use leptos::prelude::*;
use leptos::task::spawn_local;
use quilt::Timestamp;
use viewer::Replay;

use super::attempts::journal;
use super::context::Batch;
use super::shared::{before_frame, effect};
use super::view::Playback;

/// How long a whole replay takes at first, in milliseconds.
const LENGTH_MS: f64 = 8_000.0;

/// How much of the journal is folded in one frame, in bytes. It takes some milliseconds.
const BUDGET: usize = 256 * 1024;

/// Ends the replay when the batch runs again: what is running is not shown in the past.
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
        let Some(summary) = batch.channel.told.summary.try_get_untracked() else { return };
        // It was started twice before the journal was there.
        if batch.view.playback.get_untracked().is_some() {
            return;
        }
        let Some(ended_at) = summary.ended_at.filter(|_| summary.status.is_over()) else { return };
        let length = ended_at.millis_since(summary.created_at);
        let length_ms = length.max(1) as f64;
        let speed = length_ms / LENGTH_MS;
        // A round number.
        let speed = if speed <= 1.0 { (speed * 100.0).ceil() / 100.0 } else { speed.ceil() };
        batch.channel.quilt.update(|viewer| viewer.set_replay(Some(replay)));
        batch.view.playback.set(Some(Playback { at_ms: 0.0, length_ms, is_playing: false, speed, run: 0 }));
        play(batch);
    });
}

/// Plays or pauses; at the end it starts over.
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

/// Shows another moment.
pub(crate) fn seek(batch: Batch, at_ms: f64) {
    move_to(batch, at_ms);
    approach(batch);
}

/// Plays faster or slower.
pub(crate) fn set_speed(batch: Batch, speed: f64) {
    if let Some(playback) = batch.view.playback.get_untracked() {
        batch.view.playback.set(Some(Playback { speed, ..playback }));
    }
}

/// Shows the present again.
pub(crate) fn end(batch: Batch) {
    if batch.view.playback.get_untracked().is_some() {
        batch.view.playback.set(None);
        batch.channel.quilt.update(|viewer| viewer.set_replay(None));
        batch.channel.quilt.notify();
    }
}

fn play(batch: Batch) {
    let Some(playback) = batch.view.playback.get_untracked() else { return };
    let run = playback.run.wrapping_add(1);
    batch.view.playback.set(Some(Playback { is_playing: true, run, ..playback }));
    play_on(batch, run, None);
}

/// Moves on with every frame. `before` is when the last one was, by the browser's clock.
fn play_on(batch: Batch, run: u32, before: Option<f64>) {
    before_frame(move || {
        let now = js_sys::Date::now();
        let playback = batch.view.playback.try_get_untracked().flatten();
        let Some(playback) = playback.filter(|playback| playback.is_playing && playback.run == run) else {
            return approach(batch);
        };
        let at_ms = playback.at_ms + (now - before.unwrap_or(now)) * playback.speed;
        move_to(batch, at_ms);
        if at_ms < playback.length_ms {
            // What is not folded in this frame is in the next one.
            advance(batch);
            play_on(batch, run, Some(now));
        } else {
            batch.view.playback.set(Some(Playback { is_playing: false, at_ms: playback.length_ms, ..playback }));
            approach(batch);
        }
    });
}

fn move_to(batch: Batch, at_ms: f64) {
    let Some(playback) = batch.view.playback.get_untracked() else { return };
    let at_ms = at_ms.clamp(0.0, playback.length_ms);
    let launched_at = batch.channel.told.summary.get_untracked().created_at.0;
    batch.channel.quilt.update(|viewer| viewer.seek(Timestamp(launched_at + at_ms as u64)));
    batch.view.playback.set(Some(Playback { at_ms, ..playback }));
}

/// Folds as much as one frame has time for; whether the moment is reached.
fn advance(batch: Batch) -> bool {
    let is_there = batch.channel.quilt.update(|viewer| viewer.advance_replay(BUDGET));
    batch.channel.quilt.notify();
    is_there != Some(false)
}

/// Folds until the moment is reached, over as many frames as it takes.
fn approach(batch: Batch) {
    if !advance(batch) {
        before_frame(move || approach(batch));
    }
}

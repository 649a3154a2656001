//! Reads the attempts of a batch: past ones from its journal, later ones from its channel. Replays use the same download.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::channel::Channel;
use super::fetch;
use super::following::Following;
use super::shared::{effect, later};

/// How many bytes of a journal are folded at a time. This takes at most a few milliseconds.
const FOLD_CHUNK_BYTES: usize = 16 * 1024;

/// Starts to follow the attempts once they are needed, and reads the journal again after a gap.
pub(crate) fn follow_when(channel: Channel, is_needed: Signal<bool>) {
    effect(move || {
        if is_needed.get() {
            start(channel);
        }
    });
}

/// Starts to read the journal, unless that has happened. Tracks the state.
pub(super) fn start(channel: Channel) {
    if channel.signals.following.get() != Following::No {
        return;
    }
    channel.signals.following.set(Following::Reading);
    channel.journal_starts();
    let Some(after) = channel.quilt.with_untracked(|viewer| viewer.journal_offset().0) else { return };
    spawn_local(async move {
        match fetch::bytes(&format!("/api/batches/{}/journal?after={after}", channel.id)).await {
            Ok(journal) => {
                channel.quilt.update(|viewer| viewer.append_journal(journal));
                fold(channel);
            }
            Err(_) => end(channel, Following::Failed),
        }
    });
}

/// Folds the journal in several steps, so that the page stays responsive.
fn fold(channel: Channel) {
    // Browsers delay the timers of hidden pages by up to a minute, and these do not have to be responsive.
    let budget = if document().hidden() { usize::MAX } else { FOLD_CHUNK_BYTES };
    match channel.quilt.update(|viewer| viewer.read_journal(budget)) {
        Some(Ok(false)) => {
            channel.race_changed();
            later(move || fold(channel), Duration::ZERO);
        }
        Some(Ok(true)) => end(channel, Following::Live),
        Some(Err(_)) => end(channel, Following::Failed),
        // The page was closed.
        None => {}
    }
}

fn end(channel: Channel, following: Following) {
    channel.signals.following.try_set(following);
    channel.journal_ended(following == Following::Live);
}

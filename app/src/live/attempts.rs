//! Reads the attempts of a batch: those of the past from its journal, later ones from its channel.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::channel::Channel;
use super::fetch;
use super::following::Following;
use super::shared::{effect, later};
use crate::model::ActionError;

/// How much of a journal is folded at a time, in bytes. It takes some milliseconds at most.
const BUDGET: usize = 16 * 1024;

/// Follows the attempts from the moment on at which something needs them, and reads the journal again when some were missed.
pub(crate) fn follow_when(channel: Channel, is_needed: Signal<bool>) {
    effect(move || {
        if is_needed.get() && channel.told.following.get() == Following::No {
            read_on(channel);
        }
    });
}

/// Reads the journal from where the viewer is.
fn read_on(channel: Channel) {
    channel.told.following.set(Following::Reading);
    let Some(after) = channel.quilt.with_untracked(|viewer| viewer.race().offset().0) else { return };
    spawn_local(async move {
        match journal(channel, after).await {
            Ok(journal) => fold(channel, journal, 0),
            Err(_) => set_following(channel, Following::Failed),
        }
    });
}

/// The events of the batch's journal after the first `after`.
pub(super) async fn journal(channel: Channel, after: u64) -> Result<Vec<u8>, ActionError> {
    fetch::bytes(&format!("/api/batches/{}/journal?after={after}", channel.id)).await
}

/// Folds a journal from `start` on, a part at a time, so that the page stays responsive.
fn fold(channel: Channel, journal: Vec<u8>, start: usize) {
    let folded = channel.quilt.update(|viewer| {
        let mut rest = journal.get(start..).unwrap_or_default();
        viewer.read_journal(&mut rest, BUDGET).map(|()| journal.len() - rest.len())
    });
    match folded {
        Some(Ok(next)) if next < journal.len() => {
            channel.race_changed();
            later(move || fold(channel, journal, next), Duration::ZERO);
        }
        Some(Ok(_)) => {
            set_following(channel, Following::Live);
            channel.send_follow();
        }
        Some(Err(_)) => set_following(channel, Following::Failed),
        // The page is gone.
        None => {}
    }
}

fn set_following(channel: Channel, following: Following) {
    channel.told.following.try_set(following);
    channel.race_changed();
}

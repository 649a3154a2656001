//! Reads the attempts of a batch: past ones from its journal, later ones from its channel.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::channel::Channel;
use super::fetch;
use super::following::Following;
use super::shared::{effect, later};
use crate::model::ActionError;

/// How many bytes of a journal are folded at a time. This takes at most a few milliseconds.
const FOLD_CHUNK_BYTES: usize = 16 * 1024;

/// Starts to follow the attempts once they are needed, and reads the journal again after a gap.
pub(crate) fn follow_when(channel: Channel, is_needed: Signal<bool>) {
    effect(move || {
        if is_needed.get() && channel.signals.following.get() == Following::No {
            read_journal(channel);
        }
    });
}

/// Reads the journal from the viewer's offset.
fn read_journal(channel: Channel) {
    channel.signals.following.set(Following::Reading);
    let Some(after) = channel.quilt.with_untracked(|viewer| viewer.race().offset().0) else { return };
    spawn_local(async move {
        match journal(channel, after).await {
            Ok(journal) => fold(channel, journal, 0),
            Err(_) => set_following(channel, Following::Failed),
        }
    });
}

/// Fetches the batch's journal after its first `after` events.
pub(super) async fn journal(channel: Channel, after: u64) -> Result<Vec<u8>, ActionError> {
    fetch::bytes(&format!("/api/batches/{}/journal?after={after}", channel.id)).await
}

/// Folds a journal from byte `start` in several steps, so that the page stays responsive.
fn fold(channel: Channel, journal: Vec<u8>, start: usize) {
    let folded = channel.quilt.update(|viewer| {
        let mut rest = journal.get(start..).unwrap_or_default();
        viewer.read_journal(&mut rest, FOLD_CHUNK_BYTES).map(|()| journal.len() - rest.len())
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
        // The page was closed.
        None => {}
    }
}

fn set_following(channel: Channel, following: Following) {
    channel.signals.following.try_set(following);
    channel.race_changed();
}

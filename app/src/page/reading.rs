//! How a page learns of the attempts: from the journal what came before, and from its connection what comes.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Page;
use super::state::{Following, State};
use crate::model::ActionError;
use crate::request;

/// How much of a journal is taken in at once, in bytes. That takes some milliseconds at most.
const BUDGET: usize = 16 * 1024;

impl State {
    /// Whether something on the page tells of attempts that were not asked for yet.
    pub(super) fn wants_attempts(&self) -> bool {
        let wants = self.is_race_open || self.look.by.needs_attempts() || self.look.only.is_some();
        wants && self.following == Following::No
    }
}

impl Page {
    /// Reads the journal behind what is known of it.
    pub(super) fn read_on(self) {
        let Some(after) = self.update(|state| {
            state.following = Following::Reading;
            state.race().offset().0
        }) else {
            return;
        };
        spawn_local(async move {
            match self.journal(after).await {
                Ok(journal) => self.take_in(journal, 0),
                Err(_) => self.set_following(Following::Failed),
            }
        });
    }

    /// The events of the batch's journal behind the first `after`.
    pub(super) async fn journal(self, after: u64) -> Result<Vec<u8>, ActionError> {
        let id = self.read(|state| state.id).ok_or(ActionError::NotFound)?;
        request::get_bytes(&format!("/api/batches/{id}/journal?after={after}")).await
    }

    /// Takes a journal in from a place on, a part at a time, so that the page stays alive.
    fn take_in(self, journal: Vec<u8>, start: usize) {
        let taken = self.update(|state| {
            let mut rest = journal.get(start..).unwrap_or_default();
            state.race_version += 1;
            state.viewer.read_journal(&mut rest, BUDGET).map(|()| journal.len() - rest.len())
        });
        match taken {
            Some(Ok(next)) if next < journal.len() => set_timeout(move || self.take_in(journal, next), Duration::ZERO),
            Some(Ok(_)) => {
                self.set_following(Following::Live);
                self.say_follow();
            }
            Some(Err(_)) => self.set_following(Following::Failed),
            None => {}
        }
    }

    fn set_following(self, following: Following) {
        self.update(|state| {
            state.following = following;
            state.race_version += 1;
        });
    }
}

//! The batches of the visitor that have not ended.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::components::home::BatchItem;
use crate::components::shared::{Each, each, keys};
use crate::functions::list_batches;
use crate::live::shared::effect;
use crate::model::{Cell, ListItem, due, refresh};

/// How often the items are loaded again while one of them may change.
const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

/// Lists batches and updates them until all have ended. Without JavaScript it stays as rendered.
#[island]
pub fn BatchList(batches: Vec<ListItem>) -> impl IntoView {
    let batches = RwSignal::new(batches);
    // Runs again after each load. Effects run only in the browser.
    let mut turn = 0;
    effect(move || {
        if batches.with(|batches| batches.iter().any(|batch| !batch.get(Cell::IsOpen).is_empty())) {
            refresh_later(batches, turn);
            turn += 1;
        }
    });
    let ids = keys(move || ids(batches));
    let item = move |id: String| {
        let batch = move || {
            batches.with(|batches| batches.iter().find(|batch| batch.get(Cell::Id) == id).cloned()).unwrap_or_default()
        };
        view! { <BatchItem item=Signal::derive(batch) /> }
    };
    view! {
        <ul class="batch-list">
            <Each keys=ids view=each(item) />
        </ul>
    }
}

fn ids(batches: RwSignal<Vec<ListItem>>) -> Vec<String> {
    batches.with(|batches| batches.iter().map(|batch| batch.get(Cell::Id)).collect())
}

fn refresh_later(batches: RwSignal<Vec<ListItem>>, turn: usize) {
    let load = move || {
        spawn_local(async move {
            let due = due(&untrack(|| ids(batches)), turn);
            let loaded = list_batches(due.clone()).await;
            // Also after an error, so that the effect runs again, which retries after the interval.
            batches.try_update(|batches| {
                if let Ok(loaded) = loaded {
                    refresh(batches, &due, &loaded);
                }
            });
        });
    };
    if let Ok(timer) = set_timeout_with_handle(load, REFRESH_INTERVAL) {
        on_cleanup(move || timer.clear());
    }
}

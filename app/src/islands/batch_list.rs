//! The visitor's batches.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use quilt::BatchId;

use crate::components::home::BatchItem;
use crate::components::shared::{Each, When, each, flag, keys};
use crate::functions::list_batches;
use crate::live::shared::effect;
use crate::model::{BatchView, EncodedView};

/// How often the list is loaded again while a batch in it may change.
const REFRESH: Duration = Duration::from_secs(2);

/// Lists the newest batches, and follows those that run. Without JavaScript it stays as it was rendered.
#[island]
pub fn BatchList(batches: Vec<EncodedView>) -> impl IntoView {
    let batches = RwSignal::new(decoded(&batches));
    // Runs again whenever the list was loaded. Effects run in the browser alone.
    effect(move || {
        if batches.with(|batches| batches.iter().any(|batch| !batch.summary.status.is_over())) {
            refresh_later(batches);
        }
    });
    let ids = keys(move || batches.with(|batches| batches.iter().map(|batch| batch.id.to_string()).collect()));
    let item = move |id: String| {
        let key: Option<BatchId> = id.parse().ok();
        let batch = move || batches.with(|batches| batches.iter().find(|batch| Some(batch.id) == key).cloned());
        view! { <BatchItem id batch=Signal::derive(batch) /> }
    };
    let is_empty = flag(move || batches.with(Vec::is_empty));
    view! {
        <When condition=is_empty>
            <p class="quiet">"Nothing yet. The ones that you launch are listed here."</p>
        </When>
        <When condition=flag(move || !is_empty.get())>
            <ul class="batch-list">
                <Each keys=ids view=each(item) />
            </ul>
        </When>
    }
}

/// What cannot be read is left out.
fn decoded(batches: &[EncodedView]) -> Vec<BatchView> {
    batches.iter().filter_map(|batch| batch.decode().ok()).collect()
}

fn refresh_later(batches: RwSignal<Vec<BatchView>>) {
    let load = move || {
        spawn_local(async move {
            match list_batches().await {
                Ok(loaded) => drop(batches.try_set(decoded(&loaded))),
                // The server may answer in a moment.
                Err(_) => batches.notify(),
            }
        });
    };
    if let Ok(timer) = set_timeout_with_handle(load, REFRESH) {
        on_cleanup(move || timer.clear());
    }
}

//! The list of the visitor's batches.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;

use quilt::BatchId;

use crate::components::home::BatchItem;
use crate::components::shared::{Each, When, each, flag, keys};
use crate::functions::list_batches;
use crate::live::shared::effect;
use crate::model::{BatchView, EncodedView};

/// How often the list is loaded again while it contains a running batch.
const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

/// Lists the newest batches and updates those that run. Without JavaScript it stays as rendered.
#[island]
pub fn BatchList(batches: Vec<EncodedView>) -> impl IntoView {
    let batches = RwSignal::new(decoded(&batches));
    // Runs again after each load. Effects run only in the browser.
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

/// Decodes the batches and skips those that cannot be decoded.
fn decoded(batches: &[EncodedView]) -> Vec<BatchView> {
    batches.iter().filter_map(|batch| batch.decode().ok()).collect()
}

fn refresh_later(batches: RwSignal<Vec<BatchView>>) {
    let load = move || {
        spawn_local(async move {
            match list_batches().await {
                Ok(loaded) => drop(batches.try_set(decoded(&loaded))),
                // Triggers the effect again, which retries after the interval.
                Err(_) => batches.notify(),
            }
        });
    };
    if let Ok(timer) = set_timeout_with_handle(load, REFRESH_INTERVAL) {
        on_cleanup(move || timer.clear());
    }
}

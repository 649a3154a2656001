//! What is left of a lap at its finish line.

use leptos::prelude::*;
use quilt::BatchId;
use quilt::receipt::{LastAcross, SlowTask};
use serde::Deserialize;

use crate::channel::Channel;
use crate::format;

/// What the API tells of a finish line.
#[derive(Debug, Clone, Deserialize)]
struct ReceiptDocument {
    lap: u32,
    lap_tasks: u32,
    attempts: u64,
    last_across: LastAcross,
    slowest: Vec<SlowTask>,
    outcomes_sha256: String,
}

/// The receipt of the lap that is over, folded away. Nothing while a lap runs, or where one was cancelled.
#[component]
pub(crate) fn ReceiptDetails(
    /// The batch on the page.
    id: BatchId,
    /// Its channel.
    channel: Channel,
) -> impl IntoView {
    let finished_lap = Memo::new(move |_| channel.summary.with(|summary| summary.last_across.map(|_| summary.lap)));
    let receipt = RwSignal::new(None::<ReceiptDocument>);
    // Effects run in the browser alone: the server renders no receipt, and whoever has no JavaScript finds it in the API.
    Effect::new(move |_| {
        if let Some(lap) = finished_lap.get() {
            ask(id, lap, receipt);
        }
    });
    let shown = move || receipt.get().filter(|receipt| Some(receipt.lap) == finished_lap.get());
    view! {
        {move || shown().map(|receipt| view! {
            // It comes a moment after the banner, which was read out already.
            <details class="receipt" aria-live="off">
                <summary>"Receipt"</summary>
                {figures(&receipt)}
                <a href=format!("/api/batches/{id}/receipt?lap={}", receipt.lap) rel="external">"As JSON"</a>
            </details>
        })}
    }
}

#[cfg_attr(not(feature = "hydrate"), expect(unused_variables, reason = "only a browser asks"))]
fn ask(id: BatchId, lap: u32, receipt: RwSignal<Option<ReceiptDocument>>) {
    #[cfg(feature = "hydrate")]
    leptos::task::spawn_local(async move {
        let asked = crate::request::get(&format!("/api/batches/{id}/receipt?lap={lap}")).await;
        // The page may be gone by now; what was refused is left out.
        let _ = receipt.try_set(asked.ok());
    });
}

fn figures(receipt: &ReceiptDocument) -> impl IntoView + use<> {
    let last = &receipt.last_across;
    let by = match (&last.worker, last.attempt) {
        (Some(worker), Some(attempt)) => format!("{worker}, attempt {attempt}"),
        _ => "not recorded".into(),
    };
    let slowest = receipt.slowest.iter().map(|slow| {
        format!("row {}, column {}: {}", slow.square.row, slow.square.column, format::duration(slow.took_ms.into()))
    });
    let slowest: Vec<String> = slowest.collect();
    view! {
        <dl>
            <dt>"Attempts"</dt>
            <dd>{format!("{} for {} tasks", receipt.attempts, format::count(receipt.lap_tasks))}</dd>
            <dt>"Last across by"</dt>
            <dd>{by}</dd>
            {(!slowest.is_empty()).then(|| view! {
                <dt>"Slowest"</dt>
                <dd><ul>{slowest.into_iter().map(|slow| view! { <li>{slow}</li> }).collect_view()}</ul></dd>
            })}
            <dt>"SHA-256 of the outcomes"</dt>
            <dd class="digest">{receipt.outcomes_sha256.clone()}</dd>
        </dl>
    }
}

//! The receipt of a lap.

use api::{LastAcross, ReceiptDocument};
use leptos::prelude::*;
use quilt::Square;
use viewer::format;

use crate::components::shared::{When, all, maybe};
use crate::components::square_link::SquareLink;
use crate::live::fetch::use_document;
use crate::live::shared::effect;
use crate::live::use_batch;

/// The receipt, collapsed, because it arrives after the banner was announced. Without JavaScript it is available from the API only.
#[component]
pub(crate) fn Receipt() -> impl IntoView {
    let batch = use_batch();
    // Only the browser loads the receipt, so the server must not render a `Suspense` that waits for it.
    let is_live = RwSignal::new(false);
    effect(move || is_live.set(true));
    let path = Signal::derive(move || {
        let summary = batch.channel.signals.summary.get();
        let lap = summary.last_across.map(|_| summary.lap)?;
        Some(format!("/api/batches/{}/receipt?lap={lap}", batch.id))
    });
    view! {
        <When condition=is_live.into()>
            <Loaded path />
        </When>
    }
}

#[component]
fn Loaded(path: Signal<Option<String>>) -> impl IntoView {
    let receipt = use_document(path, Signal::stored(String::new()));
    view! {
        <Transition>
            // A deleted batch has no receipt.
            {move || maybe(receipt.get::<ReceiptDocument>().and_then(Result::ok).map(|receipt| view! { <Details receipt /> }))}
        </Transition>
    }
}

#[component]
fn Details(receipt: ReceiptDocument) -> impl IntoView {
    let ReceiptDocument { batch, lap, lap_tasks, attempts, last_across, slowest, outcomes_sha256, .. } = receipt;
    let by = match last_across {
        LastAcross { worker: Some(worker), attempt: Some(attempt), .. } => format!("{worker}, attempt {attempt}"),
        _ => "not recorded".into(),
    };
    let slowest: Vec<_> =
        slowest.into_iter().filter_map(|slow| Some((square(slow.row, slow.column)?, slow.took_ms))).collect();
    let slowest = (!slowest.is_empty()).then(|| {
        let item = |(square, took_ms): (Square, u32)| {
            view! { <li><SquareLink square />{format!(": {}", format::duration(took_ms.into()))}</li> }
        };
        view! {
            <dt>"Slowest"</dt>
            <dd><ul>{all(slowest.into_iter().map(item))}</ul></dd>
        }
    });
    view! {
        <details class="receipt">
            <summary>"Receipt"</summary>
            <dl>
                <dt>"Attempts"</dt>
                <dd>{format!("{} for {} tasks", format::count(attempts), format::count(lap_tasks))}</dd>
                <dt>"Last across by"</dt>
                <dd>{by}</dd>
                {maybe(slowest)}
                <dt>"SHA-256 of the outcomes"</dt>
                <dd class="digest">{outcomes_sha256}</dd>
            </dl>
            <a href=format!("/api/batches/{batch}/receipt?lap={lap}")>"As JSON"</a>
        </details>
    }
}

/// Converts a row and a column of the API. `None` if they exceed the limits of a grid.
fn square(row: u32, column: u32) -> Option<Square> {
    Some(Square { row: row.try_into().ok()?, column: column.try_into().ok()? })
}

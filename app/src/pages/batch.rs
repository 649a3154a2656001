//! `/batches/{id}`: one batch. It is rendered as it stands, and lives on as an island.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use quilt::{BatchId, Status};

use super::not_found::Missing;
use super::posted_refusal;
use crate::components::live_batch::LiveBatch;
use crate::model::{ActionError, BatchView};
use crate::page::title;
use crate::squares::{MAX_ELEMENTS, canvas_html, rows_html};

/// Without JavaScript the page asks for itself again until the batch is over.
const REFRESH: &str = r#"<meta http-equiv="refresh" content="2"><p class="quiet">This page refreshes itself every two seconds until the finish line. With JavaScript it would be live.</p>"#;

#[component]
pub(super) fn BatchPage() -> impl IntoView {
    let params = use_params_map();
    let id = params.with_untracked(|params| params.get_str("id").and_then(|id| id.parse::<BatchId>().ok()));
    Suspend::new(async move {
        match load(id).await {
            Ok((view, rows)) => view! { <Batch view rows /> }.into_any(),
            Err(error) => view! { <Missing reason=error.to_string() /> }.into_any(),
        }
    })
}

/// The batch with its squares as HTML, both as of the same moment.
async fn load(id: Option<BatchId>) -> Result<(BatchView, String), ActionError> {
    let Some(id) = id else { return Err(crate::server::not_found()) };
    let visitor = crate::server::visitor()?;
    let batch = crate::server::open(id).await?;
    let folded = batch.folded();
    let summary = folded.quilt.summary();
    let grid = summary.spec.grid;
    let is_small = grid.squares() <= MAX_ELEMENTS;
    let rows = if is_small {
        rows_html(grid, |index| folded.quilt.square(index))
    } else {
        canvas_html(id, grid, summary.status.is_over())
    };
    Ok((BatchView { id, is_own: batch.owner() == visitor, summary, now: engine::now() }, rows))
}

#[component]
fn Batch(view: BatchView, rows: String) -> impl IntoView {
    // Nothing moves while a batch is paused, and its owner may be filling in the form.
    let engine = crate::server::engine();
    let kind = engine.registry().kind(&view.summary.spec.work.kind);
    let columns = kind.map(|kind| kind.columns()).unwrap_or_default();
    let columns: String = columns.iter().map(|column| format!("{}={}\n", column.name, column.label)).collect();
    let refresh = if view.summary.status == Status::Running { REFRESH } else { "" };
    view! {
        <Title text=title(&view.summary) />
        <LiveBatch view=view.encode() columns refusal=posted_refusal()>
            <div class="rows" inner_html=rows></div>
        </LiveBatch>
        <noscript inner_html=refresh></noscript>
    }
}

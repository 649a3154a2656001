//! `/batches/{id}`: one batch. The server renders its current state, and an island keeps it up to date.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};
use quilt::{BatchId, Index, Status};

use viewer::address::View;
use viewer::table::Column;
use viewer::{MAX_ELEMENTS, words};

use super::batch_head::BatchHead;
use super::not_found::Missing;
use super::refusal::posted_refusal;
use super::squares::{canvas_html, rows_html};
use crate::actions::seconds;
use crate::islands::LiveBatch;
use crate::model::{ActionError, BatchView};

#[component]
pub(super) fn BatchPage() -> impl IntoView {
    let params = use_params_map();
    let id = params.with_untracked(|params| params.get_str("id").and_then(|id| id.parse::<BatchId>().ok()));
    let asked = View::from_query(&use_query_map().with_untracked(|query| query.to_query_string()));
    Suspend::new(async move {
        match load(id, asked).await {
            Ok((view, rows)) => view! { <Batch view rows /> }.into_any(),
            Err(error) => view! { <Missing reason=error.to_string() /> }.into_any(),
        }
    })
}

/// Loads the batch and renders its squares, both as of the same moment, for the view that the URL requests.
async fn load(id: Option<BatchId>, asked: View) -> Result<(BatchView, String), ActionError> {
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
        canvas_html(id, grid, folded.quilt.square(Index(0)), asked)
    };
    let limits = crate::server::limits();
    let view = BatchView {
        id,
        is_own: batch.owner() == visitor,
        summary,
        now: engine::now(),
        max_attempts: limits.attempts.to_string(),
        max_timeout_s: seconds(limits.timeout_ms),
    };
    Ok((view, rows))
}

#[component]
fn Batch(view: BatchView, rows: String) -> impl IntoView {
    let engine = crate::server::engine();
    let kind = engine.registry().kind(&view.summary.spec.work.kind);
    let columns = kind.map(|kind| kind.columns()).unwrap_or_default();
    let columns: Vec<Column> =
        columns.iter().map(|column| Column { name: column.name.into(), label: column.label.into() }).collect();
    // Without JavaScript the page reloads itself while the batch runs. It does not while the batch is paused: nothing changes, and a reload
    // would clear a form that the owner is filling in.
    let refresh = (view.summary.status == Status::Running).then(|| {
        view! {
            <meta http-equiv="refresh" content="2" />
            <p class="quiet">"This page refreshes itself every two seconds until the finish line. With JavaScript it would be live."</p>
        }
    });
    view! {
        <Title text=words::title(&view.summary, false) />
        <BatchHead view=view.clone() />
        <LiveBatch view=view.encode() columns refusal=posted_refusal()>
            <div class="rows" inner_html=rows></div>
        </LiveBatch>
        <noscript>{refresh}</noscript>
    }
}

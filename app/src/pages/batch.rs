//! `/batches/{id}`: one batch, live.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use quilt::{BatchId, Grid, Square, Status};

use crate::actions::get_batch;
use crate::channel::use_channel;
use crate::components::attempts::Attempts;
use crate::components::banner::Banner;
use crate::components::connection_badge::ConnectionBadge;
use crate::components::controls::{Concurrency, Controls};
use crate::components::progress_panel::ProgressPanel;
use crate::components::quilt_grid::QuiltGrid;
use crate::format;
use crate::model::{ActionError, BatchView};
use crate::pages::not_found::Missing;
use crate::squares::MAX_ELEMENTS;

/// Without JavaScript the page asks for itself again until the batch is over.
const REFRESH: &str = r#"<meta http-equiv="refresh" content="2"><p class="quiet">This page refreshes itself every two seconds until the finish line. With JavaScript it would be live.</p>"#;

#[component]
pub(crate) fn BatchPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get_str("id").and_then(|id| id.parse::<BatchId>().ok())));
    let batch = Resource::new(
        move || id.get(),
        |id| async move {
            match id {
                Some(id) => get_batch(id).await.map(as_asked_for),
                None => Err(not_an_id()),
            }
        },
    );
    view! {
        <Transition fallback=|| view! { <p class="quiet">"Loading…"</p> }>
            {move || Suspend::new(async move {
                match batch.await {
                    Ok(view) => {
                        let rows_html = rows_html(&view).await;
                        view! { <Batch view rows_html /> }.into_any()
                    }
                    Err(error) => view! { <Missing reason=error.to_string() /> }.into_any(),
                }
            })}
        </Transition>
    }
}

/// What the server renders comes with its squares. What the browser asks for, on its way from another page, does not.
fn as_asked_for(view: BatchView) -> BatchView {
    let are_drawn = view.summary.spec.grid.squares() <= MAX_ELEMENTS;
    BatchView { has_squares: cfg!(feature = "ssr") || !are_drawn, ..view }
}

fn not_an_id() -> ActionError {
    #[cfg(feature = "ssr")]
    crate::server::set_status(axum::http::StatusCode::NOT_FOUND);
    ActionError::NotFound
}

/// The squares as they are. In the browser they are pending until the channel's first frame; where the server has rendered them,
/// they stay as they are.
///
/// A trailing comment makes the HTML another one for each batch, so that one batch's squares never stay for the next one.
async fn rows_html(view: &BatchView) -> String {
    let grid = view.summary.spec.grid;
    if grid.squares() > MAX_ELEMENTS {
        return String::new();
    }
    let mark = format!("<!--{}-->", view.id);
    #[cfg(feature = "ssr")]
    if let Ok(batch) = crate::server::open(view.id).await {
        let folded = batch.folded();
        return crate::squares::rows_html(grid, |index| folded.quilt.square(index)) + &mark;
    }
    crate::squares::rows_html(grid, |_| quilt::SquareState::Pending) + &mark
}

#[component]
fn Batch(view: BatchView, rows_html: String) -> impl IntoView {
    let BatchView { id, is_own, .. } = view;
    let grid = view.summary.spec.grid;
    let channel = use_channel(&view);
    let focused = RwSignal::new(None::<Square>);
    let chosen = RwSignal::new(None::<Square>);
    let is_drawn = grid.squares() <= MAX_ELEMENTS;
    let is_running = Memo::new(move |_| channel.is_running());
    let progress = Memo::new(move |_| channel.summary.with(|summary| summary.progress));
    let status = Memo::new(move |_| channel.status_word());
    let lap = Memo::new(move |_| channel.summary.with(|summary| summary.lap));
    let title = move || {
        let progress = progress.get();
        if is_running.get() {
            let percent = u64::from(progress.settled()) * 100 / u64::from(progress.tasks.max(1));
            let paused = if status.get() == Status::Paused.as_str() { " · paused" } else { "" };
            format!("{percent}%{paused} · {} · Quilt", shape(grid))
        } else {
            format!("{} · {} · Quilt", capitalized(status.get()), shape(grid))
        }
    };
    view! {
        <Title text=title />
        <article
            class="batch"
            data-status=move || status.get()
            data-lap=move || lap.get()
            data-done=move || progress.get().done
            data-failed=move || progress.get().failed
            data-total=move || progress.get().tasks
            data-connection=move || channel.connection.get().as_str()
        >
            <div class="batch-head">
                <div>
                    <h1>{shape(grid)}</h1>
                    <p class="quiet">
                        {format!("{} {} tasks", format::count(grid.squares()), view.summary.spec.work.kind)}
                        {move || (lap.get() > 1).then(|| format!(" · lap {}", lap.get()))}
                        {move || (status.get() == Status::Paused.as_str()).then_some(" · paused")}
                    </p>
                </div>
                <div class="batch-tools">
                    <ConnectionBadge channel />
                    {is_own.then(|| view! { <Controls id channel /> })}
                </div>
            </div>
            <div class="batch-body">
                <div class="batch-side">
                    <ProgressPanel channel />
                    <Concurrency id is_own channel />
                </div>
                <div class="batch-quilt">
                    {if is_drawn {
                        view! { <QuiltGrid grid rows_html channel focused chosen /> }.into_any()
                    } else {
                        view! { <TooLarge grid /> }.into_any()
                    }}
                    <Attempts id channel chosen focused />
                </div>
                <Banner id is_own channel on_show=is_drawn.then(|| Callback::new(move |square| focused.set(Some(square)))) />
            </div>
            // Nothing moves while a batch is paused, and its owner may be filling in the form.
            <noscript inner_html=if view.summary.status == Status::Running { REFRESH } else { "" }></noscript>
        </article>
    }
}

/// Stands in for a quilt with too many squares to be elements.
#[component]
fn TooLarge(grid: Grid) -> impl IntoView {
    view! {
        <p class="too-large">
            {format!(
                "This quilt has {}, and a page draws up to {}. Its progress is live all the same, and its squares can be read from the API.",
                format::squares(grid.squares()),
                format::count(MAX_ELEMENTS),
            )}
        </p>
    }
}

fn shape(grid: Grid) -> String {
    format!("{} × {}", grid.rows(), grid.columns())
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

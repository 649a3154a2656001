//! A batch as it goes on.

use leptos::prelude::*;
use quilt::{Grid, Square, Status, Summary};

use crate::channel::use_channel;
use crate::components::attempts::Attempts;
use crate::components::banner::Banner;
use crate::components::connection_badge::ConnectionBadge;
use crate::components::controls::{Concurrency, Controls};
use crate::components::progress_panel::ProgressPanel;
use crate::components::quilt_grid::QuiltGrid;
use crate::format;
use crate::model::BatchView;

/// Everything on the page of a batch. Connects, and follows the batch to its finish line and beyond.
#[island]
pub fn LiveBatch(
    /// The batch as the server saw it.
    view: BatchView,
    /// Why a form of this page was refused that was posted without JavaScript.
    refusal: Option<String>,
    /// The rows of the quilt, where its squares are elements.
    children: Children,
) -> impl IntoView {
    let BatchView { id, is_own, .. } = view;
    let grid = view.summary.spec.grid;
    let channel = use_channel(&view);
    let focused = RwSignal::new(None::<Square>);
    let chosen = RwSignal::new(None::<Square>);
    let progress = Memo::new(move |_| channel.summary.with(|summary| summary.progress));
    let status = Memo::new(move |_| channel.status_word());
    let lap = Memo::new(move |_| channel.summary.with(|summary| summary.lap));
    let kind = view.summary.spec.work.kind;
    // Effects run in the browser alone; the server has written the title.
    Effect::new(move |_| document().set_title(&channel.summary.with(title)));
    view! {
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
                        {format!("{} {kind} tasks", format::count(grid.squares()))}
                        {move || (lap.get() > 1).then(|| format!(" · lap {}", lap.get()))}
                        {move || (status.get() == Status::Paused.as_str()).then_some(" · paused")}
                    </p>
                </div>
                <div class="batch-tools">
                    <ConnectionBadge channel />
                    {is_own.then(|| view! { <Controls id channel refusal /> })}
                </div>
            </div>
            <div class="batch-body">
                <div class="batch-side">
                    <ProgressPanel channel />
                    <Concurrency id is_own channel />
                </div>
                <div class="batch-quilt">
                    <QuiltGrid grid channel focused chosen>{children()}</QuiltGrid>
                    <Attempts id channel chosen focused />
                </div>
                <Banner id is_own channel focused />
            </div>
        </article>
    }
}

/// What the tab says.
pub(crate) fn title(summary: &Summary) -> String {
    let shape = shape(summary.spec.grid);
    let percent = u64::from(summary.progress.settled()) * 100 / u64::from(summary.progress.tasks.max(1));
    match summary.status {
        Status::Running => format!("{percent}% · {shape} · Quilt"),
        Status::Paused => format!("{percent}% · paused · {shape} · Quilt"),
        Status::Finished => format!("Finished · {shape} · Quilt"),
        Status::Cancelled => format!("Cancelled · {shape} · Quilt"),
    }
}

fn shape(grid: Grid) -> String {
    format!("{} × {}", grid.rows(), grid.columns())
}

//! The page of a batch.

use leptos::html::{Dialog, Div, Input};
use leptos::prelude::*;
use quilt::Summary;
use quilt::number::decimal;
use viewer::table::Column;

use crate::components::batch::{
    Banner, BatchState, CancelControl, Concurrency, ConnectionState, Controls, Failures, Help, ProgressPanel,
};
use crate::components::forms::Refusals;
use crate::components::quilt::{Legend, NoticeLine, QuiltGrid, Readout, ReplayControls, Scale, SquareDetails, Toolbar};
use crate::components::race::Race;
use crate::components::results::ResultsPanel;
use crate::components::shared::{flag, on, text};
use crate::live::address::use_address;
use crate::live::attempts::follow_when;
use crate::live::focus::use_focus;
use crate::live::playback::use_playback;
use crate::live::stage::Stage;
use crate::live::tab::use_tab;
use crate::live::view::View;
use crate::live::{Batch, use_channel};
use crate::model::{BatchView, EncodedView};

/// The live page of a batch: connects to its channel and follows it through all laps.
#[island]
pub fn LiveBatch(
    /// The batch as of when the page was rendered.
    view: EncodedView,
    /// The columns that the kind of work adds to the table of results.
    columns: Vec<Column>,
    /// Why a form that was posted without JavaScript was refused.
    refusal: Option<String>,
    /// The squares as of when the page was rendered.
    children: Children,
) -> impl IntoView {
    match view.decode() {
        Ok(view) => view! { <Live view columns refusal children /> }.into_any(),
        Err(error) => error.to_string().into_any(),
    }
}

#[component]
fn Live(view: BatchView, columns: Vec<Column>, refusal: Option<String>, children: Children) -> impl IntoView {
    let batch = Batch {
        id: view.id,
        is_own: view.is_own,
        max_attempts: Signal::stored(view.max_attempts.clone()),
        max_timeout_s: Signal::stored(view.max_timeout_s.clone()),
        channel: use_channel(&view),
        view: View::new(view.summary.spec.grid),
        stage: Stage::new(),
        finish: NodeRef::new(),
        control: ServerAction::new(),
    };
    provide_context(batch);
    provide_context(Refusals::new(batch, refusal));
    use_address(batch);
    use_tab(batch);
    use_playback(batch);
    let focus = use_focus(batch);
    let needs_attempts = flag(move || batch.view.is_race_open.get() || batch.view.look.get().needs_attempts());
    follow_when(batch.channel, needs_attempts);
    let (help, go_to, body) = (NodeRef::<Dialog>::new(), NodeRef::<Input>::new(), NodeRef::<Div>::new());
    let (signals, progress) = (batch.channel.signals, batch.channel.progress);
    let zoom = text(move || batch.view.zoom.get().map(|zoom| decimal(zoom.scale, 2)).unwrap_or_default());
    let shape = text(move || {
        let summary = signals.summary.get();
        let layout = viewer::layout::layout(summary.spec.grid);
        let (width, height) = proportions(&summary).unwrap_or((layout.columns().into(), layout.rows().into()));
        format!("--rows:{};--columns:{};--ratio:calc({width}/{height})", layout.rows(), layout.columns())
    });
    view! {
        <article
            class="batch"
            data-status=text(move || batch.channel.status.get().as_str().into())
            data-lap=text(move || signals.summary.get().lap.to_string())
            data-done=text(move || progress.get().done.to_string())
            data-failed=text(move || progress.get().failed.to_string())
            data-total=text(move || progress.get().tasks.to_string())
            data-connection=text(move || batch.channel.connection.get().as_str().into())
            data-zoom=zoom
            on:focusin=on(move |event| focus.moved(&event))
        >
            <div class="batch-tools">
                <BatchState />
                <ConnectionState />
                <Controls />
                <Legend />
                <CancelControl />
            </div>
            <div class="batch-body" style=shape node_ref=body>
                <div class="batch-quilt">
                    <QuiltGrid>{children()}</QuiltGrid>
                    <Scale />
                    <Readout />
                </div>
                // Right after the quilt, so that the Tab key leads from a square to its details.
                <div class="batch-side">
                    <SquareDetails />
                    <ProgressPanel />
                    // The banner takes the place of the control, so that nothing moves at the finish line.
                    <div class="finish">
                        <Concurrency />
                        <Banner />
                    </div>
                    <Failures />
                </div>
                <div class="below-quilt">
                    <Toolbar help go_to body />
                    <NoticeLine />
                    <ReplayControls />
                </div>
            </div>
            <Race />
            <ResultsPanel columns />
            <Help help go_to body />
        </article>
    }
}

/// The width and height of the picture that the tasks draw together, if their squares can have its proportions. Those on a canvas are square.
fn proportions(summary: &Summary) -> Option<(u64, u64)> {
    let parameter = |name| summary.spec.work.parameters.get(name)?.as_u64();
    let is_image = summary.spec.work.kind == "image" && summary.spec.grid.squares() <= viewer::MAX_ELEMENTS;
    if is_image { parameter("width").zip(parameter("height")) } else { None }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use std::sync::Arc;

    use hydration_context::SsrSharedContext;
    use quilt::{BatchId, BatchSpec, Grid, Launched, Summary, Timestamp, WorkSpec};

    use super::*;

    /// The server moves a request between threads while it renders the page.
    #[test]
    fn a_page_may_move_to_another_thread() {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let spec = BatchSpec::new(work, Grid::new(8, 8).expect("small"), 1);
        let mut summary = Summary::of_launch(Launched::new(spec, Timestamp(1_000)));
        for status in [quilt::Status::Running, quilt::Status::Finished] {
            summary.status = status;
            let now = Timestamp(2_000);
            let view = BatchView {
                id: BatchId::from_bytes([7; 16]),
                is_own: true,
                summary: summary.clone(),
                now,
                max_attempts: "20".into(),
                max_timeout_s: "3600".into(),
            };
            let owner = Owner::new_root(Some(Arc::new(SsrSharedContext::new_islands())));
            let page = owner.with(|| {
                view! { <LiveBatch view=view.encode() columns=Vec::new() refusal=None><p>"squares"</p></LiveBatch> }
                    .into_any()
            });
            let rendered = std::thread::spawn(move || {
                let html = owner.with(|| page.to_html());
                owner.unset_with_forced_cleanup();
                html
            });
            let html = rendered.join().expect("nothing belongs to a thread");
            assert!(html.contains("<p>squares"), "{html}");
        }
    }
}

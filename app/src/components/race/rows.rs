//! A row for each node, with its workers' attempts over time, and below it a row for each worker.

use leptos::prelude::*;
use quilt::Square;
use quilt::wire::Load;
use viewer::chart::{self, node_of};
use viewer::{Viewer, format};
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent, Node as DomNode};

use super::axis::{view_box, with_race};
use super::running::square_of;
use crate::components::shared::{Each, When, all, each, flag, keys, memo_text, on, text};
use crate::live::{Batch, use_batch};

/// The workers of a node are displayed from the start if there are at most this many.
const MAX_OPEN_WORKERS: usize = 12;

/// The maximum number of workers that are displayed of a node.
const MAX_WORKERS: usize = 128;

/// What a row says.
#[derive(Debug, Clone, Default, PartialEq)]
struct RowContent {
    workers: String,
    state: &'static str,
    attempts: String,
    /// The square that the worker runs, and the text after it.
    square: Option<Square>,
    activity: String,
    done_path: String,
    failed_path: String,
}

/// The rows of all nodes. Arrow keys lead from one to the next, because a tab stop for each worker would be too many.
#[component]
pub(super) fn Rows() -> impl IntoView {
    let batch = use_batch();
    let known = known_workers(batch);
    let nodes = keys(move || {
        let _ = known.get();
        untrack(|| {
            with_race(batch, |race| sorted(race.lanes().iter().map(|lane| format!("{}-", node_of(&lane.worker)))))
        })
    });
    let head = ["Worker", "Attempts by their end", "Attempts", "Now"];
    view! {
        <div class="lane lane-head" aria-hidden="true">
            {all(head.map(|name| view! { <span>{name}</span> }))}
        </div>
        <p class="quiet lane-key">
            <span class="chip" data-state="done" aria-hidden="true"></span>
            " done, from below "
            <span class="chip" data-state="failed" aria-hidden="true"></span>
            " failed, from above"
        </p>
        <div on:keydown=on(move |event| on_key(&event))>
            <Each keys=nodes view=each(move |node| view! { <Node node known /> }) />
        </div>
    }
}

/// Differs whenever there are other workers. Within a lap they are only added, so their names need not be read and ordered at each attempt.
fn known_workers(batch: Batch) -> Signal<String> {
    memo_text(move || with_race(batch, |race| format!("{} {}", race.lap(), race.lanes().len())))
}

/// A node and its workers.
#[component]
fn Node(
    node: String,
    /// [`known_workers`].
    known: Signal<String>,
) -> impl IntoView {
    let batch = use_batch();
    let name = node.clone();
    let workers = keys(move || {
        let _ = known.get();
        untrack(|| {
            with_race(batch, |race| {
                let lanes = race.lanes().iter().filter(|lane| name.strip_suffix('-') == Some(node_of(&lane.worker)));
                sorted(lanes.map(|lane| lane.worker.to_string()))
            })
        })
    });
    // Whether the visitor wants the opposite of what follows from the number of workers.
    let is_toggled = RwSignal::new(false);
    let is_open = flag(move || (workers.with(Vec::len) <= MAX_OPEN_WORKERS) != is_toggled.get());
    let shown = keys(move || workers.get().into_iter().take(MAX_WORKERS).collect());
    let others = move || workers.with(Vec::len).saturating_sub(MAX_WORKERS);
    view! {
        <Row name=node toggle=Some((is_open, is_toggled)) />
        <When condition=is_open>
            <Each keys=shown view=each(|name| view! { <Row name toggle=None /> }) />
            <When condition=flag(move || { others() > 0 })>
                <p class="quiet lane-more">{text(move || format!("and {} more workers", format::count(others() as u32)))}</p>
            </When>
        </When>
    }
}

/// Distinct names by length first, so that `node-2` comes before `node-10`. Each is inserted where it belongs, because the code of a sort is
/// 1 % of the download.
pub(super) fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut sorted: Vec<String> = Vec::new();
    for name in names {
        let place = sorted.binary_search_by(|other| (other.len(), &**other).cmp(&(name.len(), &*name)));
        if let Err(place) = place {
            sorted.insert(place, name);
        }
    }
    sorted
}

/// A worker, or a node with a button that shows its workers.
#[component]
fn Row(name: String, toggle: Option<(Signal<bool>, RwSignal<bool>)>) -> impl IntoView {
    let batch = use_batch();
    let channel = batch.channel;
    let (row, title) = (name.clone(), name.trim_end_matches('-').to_owned());
    let content = Memo::new(move |_| {
        channel.signals.race_version.track();
        let load = channel.signals.load.get().filter(|_| channel.is_running());
        let is_over = !channel.is_running();
        let read = |viewer: &Viewer| row_content(viewer, &name, load.as_deref(), is_over);
        channel.quilt.with_untracked(read).unwrap_or_default()
    });
    let of = move |of: fn(&RowContent) -> String| text(move || content.with(of));
    let square = move || content.with(|content| content.square);
    let square_name =
        text(move || square().map_or(String::new(), |Square { row, column }| format!("row {row}, column {column}")));
    let heading = match toggle {
        Some((is_open, is_toggled)) => {
            let flip = on(move |_: web_sys::MouseEvent| is_toggled.update(|is_toggled| *is_toggled = !*is_toggled));
            view! {
                <button type="button" class="lane-toggle" aria-expanded=text(move || is_open.get().to_string()) on:click=flip>
                    {title}
                    " "
                    <span class="quiet">{of(|content| content.workers.clone())}</span>
                </button>
            }
            .into_any()
        }
        None => title.into_any(),
    };
    let show = move || {
        if let Some(square) = content.with_untracked(|content| content.square) {
            batch.show(square);
        }
    };
    let has_square = flag(move || square().is_some());
    view! {
        <div class="lane" class:lane-node=toggle.is_some() data-state=of(|content| content.state.into())>
            <span class="lane-name">{heading}</span>
            <div class="plot spark" data-plot="" data-row=row>
                <svg viewBox=view_box(batch) preserveAspectRatio="none" aria-hidden="true">
                    <path class="done" d=of(|content| content.done_path.clone()) />
                    <path class="failed" d=of(|content| content.failed_path.clone()) />
                </svg>
            </div>
            <span class="lane-tries">{of(|content| content.attempts.clone())}</span>
            <span class="lane-doing">
                <When condition=has_square>
                    <button type="button" class="link" tabindex="-1" on:click=on(move |_| show())>{square_name}</button>
                </When>
                {of(|content| content.activity.clone())}
            </span>
        </div>
    }
}

/// Moves the keyboard focus to the previous or next button of the rows.
fn on_key(event: &KeyboardEvent) {
    let step = match event.key().as_str() {
        "ArrowUp" => -1,
        "ArrowDown" => 1,
        _ => return,
    };
    let rows = event.current_target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
    let Some(buttons) = rows.and_then(|rows| rows.query_selector_all("button").ok()) else { return };
    let focused: Option<DomNode> = event.target().and_then(|target| target.dyn_into().ok());
    let place = (0..buttons.length()).find(|place| buttons.item(*place) == focused);
    let next = place.and_then(|place| buttons.item(place.checked_add_signed(step)?));
    if let Some(next) = next.and_then(|button| button.dyn_into::<HtmlElement>().ok()) {
        event.prevent_default();
        // A failure to focus is harmless.
        let _ = next.focus();
    }
}

fn row_content(viewer: &Viewer, name: &str, load: Option<&Load>, is_over: bool) -> RowContent {
    let race = viewer.race();
    let row = chart::Row::of(race, name);
    let failed = if row.failed > 0 { format!(", {} failed", format::count(row.failed)) } else { String::new() };
    let (done_path, failed_path) = row.paths(race);
    let (state, square, activity) = match name.strip_suffix('-') {
        Some(node) => node_activity(node, load, is_over),
        None => worker_activity(viewer, name, load, is_over),
    };
    let workers = format!("{} {}", format::count(row.workers), if row.workers == 1 { "worker" } else { "workers" });
    let attempts = format!("{}{failed}", format::count(row.attempts));
    RowContent { workers, state, attempts, square, activity, done_path, failed_path }
}

fn node_activity(node: &str, load: Option<&Load>, is_over: bool) -> (&'static str, Option<Square>, String) {
    let Some(load) = load else { return (if is_over { "over" } else { "idle" }, None, String::new()) };
    match load.nodes.iter().find(|known| *known.name == *node) {
        Some(known) => ("running", None, format!("{} running", format::count(known.running))),
        None => lost(),
    }
}

fn worker_activity(
    viewer: &Viewer,
    worker: &str,
    load: Option<&Load>,
    is_over: bool,
) -> (&'static str, Option<Square>, String) {
    if is_over {
        return ("over", None, String::new());
    }
    let Some(load) = load else { return ("idle", None, "…".into()) };
    if let Some(running) = load.longest.iter().find(|running| *running.worker == *worker) {
        let since = format::duration(load.now.millis_since(running.started_at));
        let attempt = if running.attempt > 1 { format!(", attempt {}", running.attempt) } else { String::new() };
        return ("running", square_of(viewer, running), format!("{attempt}, {since}"));
    }
    match load.nodes.iter().any(|known| *known.name == *node_of(worker)) {
        true if load.is_complete() => ("idle", None, "idle".into()),
        // The load lists only the longest attempts, so the worker may run a shorter one.
        true => ("idle", None, "–".into()),
        false => lost(),
    }
}

fn lost() -> (&'static str, Option<Square>, String) {
    ("lost", None, "not heard of any more".into())
}

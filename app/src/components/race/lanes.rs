//! A lane for each worker that made an attempt.

use std::fmt::Write;

use leptos::prelude::*;
use quilt::Square;
use quilt::race::Lane;
use quilt::wire::Load;
use viewer::{Viewer, format};

use super::running::square_of;
use crate::components::shared::{Each, each, keys, text};
use crate::components::square_link::SquareButton;
use crate::live::use_batch;

/// The maximum number of lanes. Further workers are summarized in one line.
const MAX_LANES: usize = 128;

/// The content of a lane.
#[derive(Debug, Clone, PartialEq)]
struct LaneRow {
    worker: String,
    state: &'static str,
    attempts: String,
    /// The square that the worker runs, and the text after it.
    activity: (Option<Square>, String),
    /// The SVG path of the worker's attempts over time, in a box `bins` wide and 10 high.
    path: String,
    bins: usize,
}

/// The lanes, sorted by worker name. Updates reuse the elements.
#[component]
pub(crate) fn Lanes() -> impl IntoView {
    let channel = use_batch().channel;
    let rows = Memo::new(move |_| {
        channel.signals.race_version.track();
        let elapsed = channel.elapsed();
        let load = channel.signals.load.get().filter(|_| channel.is_running());
        let is_over = !channel.is_running();
        channel.quilt.with_untracked(|viewer| lane_rows(viewer, load.as_deref(), is_over, elapsed)).unwrap_or_default()
    });
    let workers = keys(move || rows.with(|rows| rows.iter().map(|lane| lane.worker.clone()).collect()));
    view! {
        <div class="lanes" tabindex="0" role="region" aria-label="Workers">
            <Each keys=workers view=each(move |worker| view! { <LaneLine worker rows /> }) />
        </div>
    }
}

#[component]
fn LaneLine(worker: String, rows: Memo<Vec<LaneRow>>) -> impl IntoView {
    let name = worker.clone();
    let lane = Signal::derive(move || rows.with(|rows| rows.iter().find(|lane| lane.worker == worker).cloned()));
    let of = move |of: fn(&LaneRow) -> String| text(move || lane.with(|lane| lane.as_ref().map_or(String::new(), of)));
    let square = Signal::derive(move || lane.get()?.activity.0);
    view! {
        <div class="lane" data-state=of(|lane| lane.state.into())>
            <span class="lane-name">{name}</span>
            <svg class="spark" viewBox=of(|lane| format!("0 0 {} 10", lane.bins)) preserveAspectRatio="none" aria-hidden="true">
                <path d=of(|lane| lane.path.clone()) />
            </svg>
            <span class="lane-tries">{of(|lane| lane.attempts.clone())}</span>
            <span class="lane-doing">
                <SquareButton square />
                {of(|lane| lane.activity.1.clone())}
            </span>
        </div>
    }
}

fn lane_rows(viewer: &Viewer, load: Option<&Load>, is_over: bool, elapsed: u64) -> Vec<LaneRow> {
    let lanes = viewer.race().lanes();
    let most = lanes.iter().flat_map(|lane| lane.bins).max().unwrap_or(1).max(1);
    let last_bin = |lane: &Lane| lane.bins.iter().rposition(|count| *count > 0);
    let bins = 1 + lanes.iter().filter_map(last_bin).max().unwrap_or(0);
    let mut rows: Vec<LaneRow> = lanes
        .iter()
        .map(|lane| {
            let (state, activity) = activity(viewer, lane, load, is_over);
            let rate = format::rate(f64::from(lane.attempts) * 1_000.0 / elapsed.max(1) as f64);
            let failed =
                if lane.failed > 0 { format!(", {} failed", format::count(lane.failed)) } else { String::new() };
            let attempts = format!("{}{failed} · {rate}", format::count(lane.attempts));
            LaneRow {
                worker: lane.worker.to_string(),
                state,
                attempts,
                activity,
                path: attempts_path(lane, most),
                bins,
            }
        })
        .collect();
    // Comparing lengths first sorts `node-2` before `node-10`.
    rows.sort_by(|one, other| (one.worker.len(), &one.worker).cmp(&(other.worker.len(), &other.worker)));
    let others = rows.len().saturating_sub(MAX_LANES);
    if others > 0 {
        rows.truncate(MAX_LANES);
        let worker = format!("and {} more", format::count(others as u32));
        let (attempts, activity, path) = <_>::default();
        rows.push(LaneRow { worker, state: "idle", attempts, activity, path, bins });
    }
    rows
}

fn activity(
    viewer: &Viewer,
    lane: &Lane,
    load: Option<&Load>,
    is_over: bool,
) -> (&'static str, (Option<Square>, String)) {
    if is_over {
        return ("over", (None, String::new()));
    }
    let Some(load) = load else { return ("idle", (None, "…".into())) };
    if let Some(running) = load.longest.iter().find(|running| running.worker == lane.worker) {
        let since = format::duration(load.now.millis_since(running.started_at));
        let attempt = if running.attempt > 1 { format!(", attempt {}", running.attempt) } else { String::new() };
        return ("running", (square_of(viewer, running), format!("{attempt}, {since}")));
    }
    // A worker's name is that of its node, a hyphen and a number.
    let node = lane.worker.rsplit_once('-').map_or("", |(node, _)| node);
    match load.nodes.iter().any(|known| *known.name == *node) {
        true if load.is_complete() => ("idle", (None, "idle".into())),
        // The load lists only the longest attempts, so the worker may run a shorter one.
        true => ("idle", (None, "–".into())),
        false => ("lost", (None, "not heard of any more".into())),
    }
}

fn attempts_path(lane: &Lane, most: u32) -> String {
    let mut path = String::new();
    for (bin, count) in lane.bins.iter().enumerate().filter(|(_, count)| **count > 0) {
        // The square root keeps a single slow attempt visible beside many quick ones.
        let height = (f64::from(*count) / f64::from(most)).sqrt() * 10.0;
        // Writing to a string cannot fail.
        let _ = write!(path, "M{bin} {:.1}h1v{height:.1}h-1z", 10.0 - height);
    }
    path
}

//! A line for each worker that made an attempt.

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

/// The most workers with a line.
const MAX_LINES: usize = 128;

/// What a line shows.
#[derive(Debug, Clone, PartialEq)]
struct Facts {
    worker: String,
    state: &'static str,
    tries: String,
    /// What the worker runs, and the words after it.
    doing: (Option<Square>, String),
    /// The path of its attempts over time, in a box that is `bins` wide and 10 high.
    path: String,
    bins: usize,
}

/// The lines, sorted by worker: those with the lowest numbers, which are used first. Each keeps its elements while it changes.
#[component]
pub(crate) fn Lanes() -> impl IntoView {
    let channel = use_batch().channel;
    let facts = Memo::new(move |_| {
        channel.told.race_version.track();
        let elapsed = channel.elapsed();
        let load = channel.told.load.get().filter(|_| channel.is_running());
        let is_over = !channel.is_running();
        channel.quilt.with_untracked(|viewer| all_facts(viewer, load.as_deref(), is_over, elapsed)).unwrap_or_default()
    });
    let workers = keys(move || facts.with(|facts| facts.iter().map(|lane| lane.worker.clone()).collect()));
    view! {
        <div class="lanes" tabindex="0" role="region" aria-label="Workers">
            <Each keys=workers view=each(move |worker| view! { <Line worker facts /> }) />
        </div>
    }
}

#[component]
fn Line(worker: String, facts: Memo<Vec<Facts>>) -> impl IntoView {
    let name = worker.clone();
    let lane = Signal::derive(move || facts.with(|facts| facts.iter().find(|lane| lane.worker == worker).cloned()));
    let of = move |of: fn(&Facts) -> String| text(move || lane.with(|lane| lane.as_ref().map_or(String::new(), of)));
    let square = Signal::derive(move || lane.get()?.doing.0);
    view! {
        <div class="lane" data-state=of(|lane| lane.state.into())>
            <span class="lane-name">{name}</span>
            <svg class="spark" viewBox=of(|lane| format!("0 0 {} 10", lane.bins)) preserveAspectRatio="none" aria-hidden="true">
                <path d=of(|lane| lane.path.clone()) />
            </svg>
            <span class="lane-tries">{of(|lane| lane.tries.clone())}</span>
            <span class="lane-doing">
                <SquareButton square />
                {of(|lane| lane.doing.1.clone())}
            </span>
        </div>
    }
}

fn all_facts(viewer: &Viewer, load: Option<&Load>, is_over: bool, elapsed: u64) -> Vec<Facts> {
    let lanes = viewer.race().lanes();
    let most = lanes.iter().flat_map(|lane| lane.bins).max().unwrap_or(1).max(1);
    let last_bin = |lane: &Lane| lane.bins.iter().rposition(|count| *count > 0);
    let bins = 1 + lanes.iter().filter_map(last_bin).max().unwrap_or(0);
    let mut facts: Vec<Facts> = lanes
        .iter()
        .map(|lane| {
            let (state, doing) = doing(viewer, lane, load, is_over);
            let rate = format::rate(f64::from(lane.attempts) * 1_000.0 / elapsed.max(1) as f64);
            let failed =
                if lane.failed > 0 { format!(", {} failed", format::count(lane.failed)) } else { String::new() };
            let tries = format!("{}{failed} · {rate}", format::count(lane.attempts));
            Facts { worker: lane.worker.to_string(), state, tries, doing, path: spark(lane, most), bins }
        })
        .collect();
    // 2 before 10.
    facts.sort_by(|one, other| (one.worker.len(), &one.worker).cmp(&(other.worker.len(), &other.worker)));
    let others = facts.len().saturating_sub(MAX_LINES);
    if others > 0 {
        facts.truncate(MAX_LINES);
        let worker = format!("and {} more", format::count(others as u32));
        let (tries, doing, path) = <_>::default();
        facts.push(Facts { worker, state: "idle", tries, doing, path, bins });
    }
    facts
}

fn doing(viewer: &Viewer, lane: &Lane, load: Option<&Load>, is_over: bool) -> (&'static str, (Option<Square>, String)) {
    if is_over {
        return ("over", (None, String::new()));
    }
    let Some(load) = load else { return ("idle", (None, "…".into())) };
    if let Some(running) = load.longest.iter().find(|running| running.worker == lane.worker) {
        let since = format::duration(load.now.millis_since(running.started_at));
        let attempt = if running.attempt > 1 { format!(", attempt {}", running.attempt) } else { String::new() };
        return ("running", (square_of(viewer, running), format!("{attempt}, {since}")));
    }
    // The name of a worker is that of its node, and a number.
    let node = lane.worker.rsplit_once('-').map_or("", |(node, _)| node);
    match load.nodes.iter().any(|known| *known.name == *node) {
        true if load.is_complete() => ("idle", (None, "idle".into())),
        // It may run one of the shorter attempts.
        true => ("idle", (None, "–".into())),
        false => ("lost", (None, "not heard of any more".into())),
    }
}

fn spark(lane: &Lane, most: u32) -> String {
    let mut path = String::new();
    for (bin, count) in lane.bins.iter().enumerate().filter(|(_, count)| **count > 0) {
        // With the square root a single slow attempt is visible beside many quick ones.
        let height = (f64::from(*count) / f64::from(most)).sqrt() * 10.0;
        // Writing to a string cannot fail.
        let _ = write!(path, "M{bin} {:.1}h1v{height:.1}h-1z", 10.0 - height);
    }
    path
}

//! The race: how squares got done over time, how long attempts took, who ran what, and who is still on the way.

use std::fmt::Write;

use quilt::race::{DURATION_BINS, Lane, Race, duration_of_bin};
use quilt::wire::{Load, Node, Running};
use quilt::{Quilt, Square, SquareState};

use super::banner::place;
use crate::format;
use crate::html::escaped;
use crate::page::{Following, State};

/// Below this share of pending squares, those that are left are named.
const STRAGGLING_SHARE: u32 = 100;

/// The most squares that are named.
const MAX_STRAGGLERS: usize = 12;

/// Quilts up to this size start with the race in sight; for larger ones there is more to read first than everybody wants.
pub(crate) const OPEN_UP_TO: u32 = 65_536;

/// Nothing while it is closed: there is much to tell.
pub(super) fn html(state: &State) -> String {
    if !state.is_race_open {
        return String::new();
    }
    let race = state.race();
    if race.lanes().is_empty() {
        let words = match state.following {
            Following::No | Following::Reading => "Reading the attempts…",
            Following::Live => "No attempt has ended yet.",
            Following::Failed => "The attempts could not be read. Please load the page again.",
        };
        return format!(r#"<p class="quiet">{words}</p>"#);
    }
    format!(
        concat!(
            r#"<div class="charts">{curve}{histogram}</div>{stragglers}<h3>Workers</h3>"#,
            r#"<div class="lanes" id="lanes" tabindex="0" role="region" aria-label="Workers">{lanes}</div>{nodes}"#
        ),
        curve = curve_html(race),
        histogram = histogram_html(race),
        stragglers = stragglers_html(state),
        lanes = lanes_html(state),
        nodes = nodes_html(state),
    )
}

/// The processes that take part, where there is more than one.
fn nodes_html(state: &State) -> String {
    let nodes = state.load.as_ref().map_or(&[][..], |load| &load.nodes);
    if nodes.len() < 2 {
        return String::new();
    }
    let mut nodes: Vec<&Node> = nodes.iter().collect();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    let item = |node: &&Node| {
        let does = match node.slots {
            0 => "serves".into(),
            1 => "1 task at a time".into(),
            slots => format!("{} tasks at a time", format::count(slots)),
        };
        format!(
            r#"<li><b>{}</b> {does}, on {}, version {}</li>"#,
            escaped(&node.name),
            escaped(&node.host),
            escaped(&node.version)
        )
    };
    let items: String = nodes.iter().map(item).collect();
    format!(r#"<section class="nodes" aria-label="Nodes"><h3>Nodes</h3><ul>{items}</ul></section>"#)
}

/// Squares that became done, over time.
fn curve_html(race: &Race) -> String {
    let total: u32 = race.done().iter().sum();
    let bins = 1 + race.done().iter().rposition(|count| *count > 0).unwrap_or_default();
    let end = format::duration(u64::from(race.bin_ms()) * bins as u64);
    let mut path = String::from("M0 40");
    let mut so_far = 0;
    for (bin, count) in race.done().iter().take(bins).enumerate() {
        so_far += count;
        let (x, y) =
            ((bin + 1) as f64 * 100.0 / bins as f64, 40.0 - f64::from(so_far) * 38.0 / f64::from(total.max(1)));
        // Writing to a string cannot fail.
        let _ = write!(path, "L{x:.1} {y:.1}");
    }
    format!(
        concat!(
            r#"<figure><svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="{total} squares done in {end}">"#,
            r#"<path class="area" d="{path}L100 40Z"/><path class="line" d="{path}"/></svg>"#,
            r#"<figcaption>Squares done over time: {total} in {end}</figcaption></figure>"#
        ),
        total = format::count(total),
        end = end,
        path = path,
    )
}

/// Attempts by how long they took.
fn histogram_html(race: &Race) -> String {
    let durations = race.durations();
    let is_used = |count: &u32| *count > 0;
    let first = durations.iter().position(is_used).unwrap_or_default();
    let last = durations.iter().rposition(is_used).unwrap_or_default();
    let most = f64::from(durations.iter().copied().max().unwrap_or(1).max(1));
    let width = 100.0 / (last - first + 1) as f64;
    let mut bars = String::new();
    for (place, count) in durations.iter().skip(first).take(last - first + 1).enumerate() {
        let height = f64::from(*count) * 38.0 / most;
        // So that a few are seen beside many.
        let height = if *count > 0 { height.max(0.7) } else { 0.0 };
        let _ = write!(
            bars,
            r#"<rect x="{:.2}" y="{:.2}" width="{:.2}" height="{height:.2}"/>"#,
            place as f64 * width,
            40.0 - height,
            width * 0.9
        );
    }
    let told = |bin: usize| format::duration(duration_of_bin(bin.min(DURATION_BINS - 1)).into());
    let caption = format!("Attempts by duration: {} to {}", told(first), told(last + 1));
    format!(
        concat!(
            r#"<figure><svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="{caption}">"#,
            r#"<g class="bars">{bars}</g></svg><figcaption>{caption}</figcaption></figure>"#
        ),
        caption = caption,
        bars = bars,
    )
}

/// One line for each worker that made an attempt, or is there.
fn lanes_html(state: &State) -> String {
    let (race, load) = (state.race(), state.load.as_ref());
    let most = race.lanes().iter().flat_map(|lane| lane.bins).max().unwrap_or(1).max(1);
    let bins =
        1 + race.lanes().iter().filter_map(|lane| lane.bins.iter().rposition(|count| *count > 0)).max().unwrap_or(0);
    let mut html = String::new();
    let elapsed = state.elapsed().max(1);
    let mut lanes: Vec<&Lane> = race.lanes().iter().collect();
    // With 2 before 10.
    lanes.sort_by_key(|lane| (lane.worker.len(), &lane.worker));
    for lane in lanes {
        let known = load.and_then(|load| load.workers.iter().find(|worker| worker.name == lane.worker));
        let (standing, doing) = match (known, load) {
            _ if !state.is_running() => ("over", String::new()),
            (Some(worker), Some(load)) => match worker.running {
                Some(running) => ("running", running_html(state, running, load)),
                None => ("idle", "idle".into()),
            },
            (None, Some(_)) => ("lost", "not heard of any more".into()),
            (_, None) => ("idle", "…".into()),
        };
        let rate = format::rate(f64::from(lane.tries) * 1_000.0 / elapsed as f64);
        let failed = if lane.failed > 0 { format!(", {} failed", format::count(lane.failed)) } else { String::new() };
        let _ = write!(
            html,
            concat!(
                r#"<div class="lane" data-state="{state}"><span class="lane-name">{name}</span>{spark}"#,
                r#"<span class="lane-tries">{tries}{failed} · {rate}</span><span class="lane-doing">{doing}</span></div>"#
            ),
            state = standing,
            name = escaped(&lane.worker),
            spark = sparkline(lane, most, bins),
            tries = format::count(lane.tries),
            failed = failed,
            rate = rate,
            doing = doing,
        );
    }
    html
}

fn sparkline(lane: &Lane, most: u32, bins: usize) -> String {
    let mut path = String::new();
    for (bin, count) in lane.bins.iter().enumerate().filter(|(_, count)| **count > 0) {
        // With the square root, a single slow attempt is seen beside many quick ones.
        let height = (f64::from(*count) / f64::from(most)).sqrt() * 10.0;
        let _ = write!(path, "M{bin} {:.1}h1v{height:.1}h-1z", 10.0 - height);
    }
    format!(
        r#"<svg class="spark" viewBox="0 0 {bins} 10" preserveAspectRatio="none" aria-hidden="true"><path d="{path}"/></svg>"#
    )
}

fn running_html(state: &State, running: Running, load: &Load) -> String {
    let since = format::duration(load.now.millis_since(running.started_at));
    let attempt = if running.attempt > 1 { format!(", attempt {}", running.attempt) } else { String::new() };
    let square = state.quilt().and_then(|quilt| square_of(quilt, running));
    square.map_or(String::new(), |square| format!("{}{attempt}, {since}", place(square)))
}

fn square_of(quilt: &Quilt, running: Running) -> Option<Square> {
    let is_inside = running.position.0 < quilt.progress().tasks;
    is_inside.then(|| quilt.place_of(running.position))
}

/// Those squares that are left at the end, with what is known of each.
fn stragglers_html(state: &State) -> String {
    let progress = state.summary.progress;
    let few = (progress.tasks / STRAGGLING_SHARE).max(1);
    let (Some(load), Some(quilt)) = (&state.load, state.quilt()) else { return String::new() };
    if !state.is_running() || progress.pending() > few {
        return String::new();
    }
    let mut running: Vec<(&str, Running)> =
        load.workers.iter().filter_map(|worker| Some((&*worker.name, worker.running?))).collect();
    running.retain(|(_, running)| quilt.at(running.position) == SquareState::Pending);
    running.sort_by_key(|(_, running)| running.started_at);
    let item = |(worker, running): &(&str, Running)| {
        let since = format::duration(load.now.millis_since(running.started_at));
        let square = square_of(quilt, *running).map(place).unwrap_or_default();
        format!("<li>{square}, attempt {}, for {since} on {}</li>", running.attempt, escaped(worker))
    };
    let items: String = running.iter().take(MAX_STRAGGLERS).map(item).collect();
    let left = format::squares(progress.pending());
    format!(r#"<section class="stragglers" aria-label="Stragglers"><h3>The last {left}</h3><ul>{items}</ul></section>"#)
}

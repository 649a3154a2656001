//! What the colours tell, and which squares stand out.

use leptos::prelude::*;
use quilt::{Color, Progress, Race};

use crate::channel::{Channel, Following};
use crate::format;
use crate::html::{attribute_if, escaped};
use crate::look::{ColorBy, Look, Standing, attempts_color, duration_color, worker_color};

/// The most workers that are named.
const MAX_WORKERS: usize = 12;

/// The choice of what the colours tell, and one button for each standing, which makes its squares stand out.
pub(crate) fn html(channel: Channel, look: Look) -> String {
    let counts = counts(channel);
    let filters: String =
        Standing::ALL.iter().zip(counts).map(|(standing, count)| filter(*standing, count, look)).collect();
    let options: String = ColorBy::ALL.iter().map(|by| option(*by, look)).collect();
    format!(
        concat!(
            r#"<label class="color-by">Colour by <select id="color-by">{options}</select></label>"#,
            r#"<div class="filters" role="group" aria-label="Show only">{filters}</div>{scale}"#
        ),
        options = options,
        filters = filters,
        scale = scale(channel, look.by),
    )
}

fn option(by: ColorBy, look: Look) -> String {
    let name = by.as_str();
    format!(r#"<option value="{name}"{}>{name}</option>"#, attribute_if(by == look.by, " selected"))
}

fn filter(standing: Standing, count: u32, look: Look) -> String {
    let name = standing.as_str();
    let is_pressed = look.only == Some(standing);
    format!(
        concat!(
            r#"<button type="button" class="filter" id="only-{name}" data-do="only:{name}" aria-pressed="{is_pressed}">"#,
            r#"<span class="chip" data-state="{name}" aria-hidden="true"></span>{name} <span class="filter-count">{count}</span></button>"#
        ),
        name = name,
        is_pressed = is_pressed,
        count = format::count(count),
    )
}

/// How many squares stand in each way, in the order of [`Standing::ALL`].
fn counts(channel: Channel) -> [u32; 4] {
    let progress = channel.summary.with(|summary| summary.progress);
    let Progress { done, failed, .. } = progress;
    // Nothing is tried again that was not told of.
    channel.track_race();
    let retrying = if channel.following.get() == Following::No {
        0
    } else {
        channel.with_race(Race::unsuccessful).unwrap_or_default().saturating_sub(failed).min(progress.pending())
    };
    [progress.pending() - retrying, retrying, done, failed]
}

fn scale(channel: Channel, by: ColorBy) -> String {
    let entry =
        |color: Color, name: &str| format!(r#"<li><span class="chip" style="background:{color}"></span>{name}</li>"#);
    let entries: String = match by {
        ColorBy::Result | ColorBy::State => return String::new(),
        ColorBy::Duration => {
            let durations =
                [("≤ 1 ms", 1), ("10 ms", 10), ("100 ms", 100), ("1 s", 1_000), ("10 s", 10_000), ("≥ 100 s", 100_000)];
            durations.map(|(name, took_ms)| entry(duration_color(took_ms), name)).concat()
        }
        ColorBy::Attempts => {
            let numbers = [("1 attempt", 1), ("2", 2), ("3", 3), ("4", 4), ("5 and more", 5)];
            numbers.map(|(name, number)| entry(attempts_color(number), name)).concat()
        }
        ColorBy::Worker => channel
            .with_race(|race| {
                let lanes = race.lanes();
                let named = lanes.iter().take(MAX_WORKERS).enumerate();
                let named: String =
                    named.map(|(lane, known)| entry(worker_color(lane as u16), &escaped(&known.worker))).collect();
                let others = lanes.len().saturating_sub(MAX_WORKERS);
                if others > 0 { format!("{named}<li>and {others} more</li>") } else { named }
            })
            .unwrap_or_default(),
    };
    let state = match channel.following.get() {
        Following::Live => "",
        Following::Reading | Following::No => r#"<li class="quiet">reading the attempts…</li>"#,
    };
    format!(r#"<ul class="scale" aria-label="Colours">{entries}{state}</ul>"#)
}

//! What the colours tell, and which squares stand out.

use quilt::{Color, Progress};

use super::Panel;
use crate::format;
use crate::html::{attribute_if, escaped};
use crate::page::look::{ColorBy, Look, Standing, attempts_color, duration_color, worker_color};
use crate::page::{Following, State};

/// The most workers that are named.
const MAX_WORKERS: usize = 12;

/// The choice of what the colours tell, and one button for each standing, which makes its squares stand out.
pub(super) fn html(state: &State) -> String {
    let look = state.look;
    let filters = Standing::ALL.map(|standing| filter(standing, look)).concat();
    let options: String = ColorBy::ALL.iter().map(|by| option(*by, look)).collect();
    format!(
        concat!(
            r#"<label class="color-by">Colour by <select id="color-by">{options}</select></label>"#,
            r#"<div class="filters" role="group" aria-label="Show only">{filters}</div>{scale}"#
        ),
        options = options,
        filters = filters,
        scale = scale(state),
    )
}

fn option(by: ColorBy, look: Look) -> String {
    let name = by.as_str();
    format!(r#"<option value="{name}"{}>{name}</option>"#, attribute_if(by == look.by, " selected"))
}

fn filter(standing: Standing, look: Look) -> String {
    let name = standing.as_str();
    let is_pressed = look.only == Some(standing);
    format!(
        concat!(
            r#"<button type="button" class="filter" id="only-{name}" data-do="only:{name}" aria-pressed="{is_pressed}">"#,
            r#"<span class="chip" data-state="{name}" aria-hidden="true"></span>{name} {count}</button>"#
        ),
        name = name,
        is_pressed = is_pressed,
        count = Panel::Count(standing).slot(),
    )
}

/// How many squares stand like this. Told by itself, so that the button around it stays the same while somebody presses it.
pub(super) fn count_html(state: &State, standing: Standing) -> String {
    let progress = state.summary.progress;
    let Progress { done, failed, .. } = progress;
    // Nothing is known to be tried again that was not told of.
    let retrying = state.race().unsuccessful().saturating_sub(failed).min(progress.pending());
    let count = match standing {
        Standing::Pending => progress.pending() - retrying,
        Standing::Retrying => retrying,
        Standing::Done => done,
        Standing::Failed => failed,
    };
    format::count(count)
}

fn scale(state: &State) -> String {
    let entry =
        |color: Color, name: &str| format!(r#"<li><span class="chip" style="background:{color}"></span>{name}</li>"#);
    let entries: String = match state.look.by {
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
        ColorBy::Worker => {
            let lanes = state.race().lanes();
            let named = lanes.iter().take(MAX_WORKERS).enumerate();
            let named: String =
                named.map(|(lane, known)| entry(worker_color(lane as u16), &escaped(&known.worker))).collect();
            let others = lanes.len().saturating_sub(MAX_WORKERS);
            if others > 0 { format!("{named}<li>and {others} more</li>") } else { named }
        }
    };
    let reading = match state.following {
        Following::Live => "",
        Following::Reading | Following::No => r#"<li class="quiet">reading the attempts…</li>"#,
        Following::Failed => r#"<li class="refusal">The attempts could not be read.</li>"#,
    };
    format!(r#"<ul class="scale" aria-label="Colours">{entries}{reading}</ul>"#)
}

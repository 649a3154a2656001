//! The legend: what the colors mean, and a filter for each state.

use leptos::prelude::*;
use quilt::{Color, Progress};
use viewer::look::{attempts_color, duration_color, worker_color};
use viewer::{ColorBy, Look, TaskState, format};

use crate::components::shared::{Each, When, all, each, flag, keys, on, text};
use crate::live::{Following, use_batch};

/// The maximum number of workers that the scale names.
const MAX_NAMED_WORKERS: usize = 12;

/// The states that always have a filter button.
const COMMON_STATES: [TaskState; 3] = [TaskState::Retrying, TaskState::Done, TaskState::Failed];

/// The color menu, and a button per state that dims all squares in other states.
#[component]
pub(crate) fn Legend() -> impl IntoView {
    let batch = use_batch();
    let view = batch.view;
    let can_show_picture = flag(move || !batch.channel.is_running() && batch.picture().is_some());
    let by = text(move || view.look.get().by.as_str().into());
    let progress = batch.channel.shown_progress;
    let has_not_run = flag(move || progress.get().not_run > 0);
    // "Not run" replaces "pending" when a batch is stopped, so that the layout stays.
    let has_pending = flag(move || progress.get().pending() > 0 || progress.get().not_run == 0);
    let option = |choice: ColorBy| view! { <option value=choice.as_str()>{choice.as_str()}</option> };
    view! {
        <div class="legend">
            <label class="color-by">
                "Color by "
                <select
                    prop:value=by
                    on:change=on(move |event| {
                        if let Some(by) = ColorBy::named(&event_target_value(&event)) {
                            view.update_look(|look| Look { by, ..look });
                        }
                    })
                >
                    {all(ColorBy::ALL.map(option))}
                </select>
            </label>
            <div class="states" role="group" aria-label="Show only">
                <When condition=has_pending>
                    <Filter state=TaskState::Pending />
                </When>
                {all(COMMON_STATES.map(|state| view! { <Filter state /> }))}
                <When condition=has_not_run>
                    <Filter state=TaskState::NotRun />
                </When>
            </div>
            <When condition=can_show_picture>
                <button
                    type="button"
                    class="filter"
                    aria-pressed=text(move || view.is_picture.get().to_string())
                    on:click=on(move |_| view.is_picture.update(|is_shown| *is_shown = !*is_shown))
                >
                    "Picture"
                </button>
            </When>
        </div>
    }
}

#[component]
fn Filter(state: TaskState) -> impl IntoView {
    let batch = use_batch();
    let view = batch.view;
    let is_on = text(move || (view.look.get().only == Some(state)).to_string());
    let count = text(move || {
        batch.channel.signals.race_version.track();
        let unsuccessful =
            batch.channel.quilt.with_untracked(|viewer| viewer.race().unsuccessful()).unwrap_or_default();
        format::count(count(state, batch.channel.shown_progress.get(), unsuccessful))
    });
    view! {
        <button
            type="button"
            class="filter"
            aria-pressed=is_on
            on:click=on(move |_| view.update_look(|look| {
                let is_on = look.only == Some(state) && look.reason.is_none();
                look.with_only((!is_on).then_some(state))
            }))
        >
            <span class="chip" data-state=state.as_str() aria-hidden="true"></span>
            {state.label()}
            " "
            <span class="filter-count">{count}</span>
        </button>
    }
}

/// The number of squares in a state. Retried squares count as pending until their attempts are known.
fn count(state: TaskState, progress: Progress, unsuccessful: u32) -> u32 {
    let retrying = unsuccessful.saturating_sub(progress.failed).min(progress.pending());
    match state {
        TaskState::Pending => progress.pending() - retrying,
        TaskState::Retrying => retrying,
        TaskState::Done => progress.done,
        TaskState::Failed => progress.failed,
        TaskState::NotRun => progress.not_run,
    }
}

/// The colors of the current scale and their meaning.
#[component]
pub(crate) fn Scale() -> impl IntoView {
    let batch = use_batch();
    let (look, channel) = (batch.view.look, batch.channel);
    let following = channel.signals.following;
    let entries = keys(move || match look.get().by {
        ColorBy::Result | ColorBy::State => Vec::new(),
        ColorBy::Duration => {
            let durations =
                [("≤ 1 ms", 1), ("10 ms", 10), ("100 ms", 100), ("1 s", 1_000), ("10 s", 10_000), ("≥ 100 s", 100_000)];
            durations.map(|(name, took_ms)| entry(duration_color(took_ms), name)).to_vec()
        }
        ColorBy::Attempts => {
            let numbers = [("1 attempt", 1), ("2", 2), ("3", 3), ("4", 4), ("5 and more", 5)];
            numbers.map(|(name, number)| entry(attempts_color(number), name)).to_vec()
        }
        ColorBy::Worker => {
            channel.signals.race_version.track();
            channel.quilt.with_untracked(|viewer| workers(viewer.race().lanes())).unwrap_or_default()
        }
    });
    let state = text(move || if following.get() == Following::Failed { "failed" } else { "" }.into());
    let words = text(move || match following.get() {
        Following::Reading | Following::No => "reading the attempts…".into(),
        Following::Failed => "The attempts could not be read.".into(),
        Following::Live => {
            channel.signals.race_version.track();
            let lanes = channel.quilt.with_untracked(|viewer| viewer.race().lanes().len()).unwrap_or_default();
            match lanes.saturating_sub(MAX_NAMED_WORKERS) {
                others if others > 0 && look.get().by == ColorBy::Worker => format!("and {others} more"),
                _ => String::new(),
            }
        }
    });
    let item = |entry: String| {
        let (color, name) = entry.split_once(' ').unwrap_or_default();
        view! {
            <li>
                <span class="chip" style=format!("background:{color}")></span>
                {name.to_owned()}
            </li>
        }
    };
    view! {
        <When condition=flag(move || look.get().by.needs_attempts())>
            <ul class="scale" aria-label="Colors">
                <Each keys=entries view=each(item) />
                <When condition=flag(move || words.with(|words| !words.is_empty()))>
                    <li data-state=state>{words}</li>
                </When>
            </ul>
        </When>
    }
}

/// A color, a space, and its meaning.
fn entry(color: Color, name: &str) -> String {
    format!("{color} {name}")
}

fn workers(lanes: &[quilt::race::Lane]) -> Vec<String> {
    let named = lanes.iter().take(MAX_NAMED_WORKERS).enumerate();
    named.map(|(lane, known)| entry(worker_color(lane as u16), &known.worker)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_square_is_counted_once() {
        let progress = Progress { tasks: 100, done: 50, failed: 10, not_run: 5 };
        for (unsuccessful, expected) in
            [(0, [35, 0, 50, 10, 5]), (10, [35, 0, 50, 10, 5]), (15, [30, 5, 50, 10, 5]), (99, [0, 35, 50, 10, 5])]
        {
            assert_eq!(TaskState::ALL.map(|state| count(state, progress, unsuccessful)), expected);
        }
    }
}

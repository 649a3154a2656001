//! How far a batch is, how fast it goes, and how long it will take.

use leptos::prelude::*;
use quilt::wire::Load;
use quilt::{Progress, Status};

use crate::channel::Channel;
use crate::format;

/// The bar and the figures below it.
#[component]
pub(crate) fn ProgressPanel(
    /// The channel of the batch on the page.
    channel: Channel,
) -> impl IntoView {
    let progress = Memo::new(move |_| channel.summary.with(|summary| summary.progress));
    let tasks = progress.get_untracked().tasks;
    let share = move |part: fn(Progress) -> u32| {
        let progress = progress.get();
        format!("{:.3}%", f64::from(part(progress)) * 100.0 / f64::from(progress.tasks.max(1)))
    };
    let value_text = move || {
        let Progress { tasks, done, failed } = progress.get();
        format!(
            "{} of {}: {} done, {} failed",
            format::count(done + failed),
            format::squares(tasks),
            format::count(done),
            format::count(failed)
        )
    };
    let is_moving = Memo::new(move |_| channel.summary.with(|summary| summary.status == Status::Running));
    let rate = move || match (is_moving.get(), channel.rate.get()) {
        (true, Some(rate)) => format::rate(rate),
        (true, None) => "…".into(),
        (false, _) => average_rate(channel),
    };
    let left = move || {
        if !is_moving.get() {
            return "–".to_string();
        }
        match channel.rate.get().filter(|rate| *rate > 0.0) {
            Some(rate) => {
                format!("about {}", format::duration((f64::from(progress.get().pending()) / rate * 1_000.0) as u64))
            }
            None => "…".into(),
        }
    };
    let workers = move || match channel.load.get() {
        Some(Load { busy, workers, .. }) if channel.is_running() => {
            format!("{} of {}", format::count(busy), format::count(workers))
        }
        _ => "–".into(),
    };
    let stuck = Memo::new(move |_| channel.load.get().map(|load| load.stuck).filter(|stuck| *stuck > 0));
    view! {
        <section class="progress-panel" aria-label="Progress">
            <div
                class="bar"
                role="progressbar"
                aria-label="Settled squares"
                aria-valuemin="0"
                aria-valuemax=tasks
                aria-valuenow=move || progress.get().settled()
                aria-valuetext=value_text
            >
                <span class="bar-done" style:width=move || share(|progress| progress.done)></span>
                <span class="bar-failed" style:width=move || share(|progress| progress.failed)></span>
            </div>
            <dl class="figures">
                <Figure name="Done" value=move || format::count(progress.get().done) />
                <Figure name="Failed" value=move || format::count(progress.get().failed) />
                <Figure name="Pending" value=move || format::count(progress.get().pending()) />
                <Figure name="Rate" value=rate />
                <Figure name="Elapsed" value=move || format::duration(channel.elapsed()) />
                <Figure name="Time left" value=left />
                <Figure name="Workers" value=workers />
            </dl>
            <p class="stuck" role="status">
                {move || stuck.get().map(|stuck| {
                    format!("{stuck} of the server's workers wait for tasks that do not stop though their time is over.")
                })}
            </p>
        </section>
    }
}

/// The rate over a lap that is finished.
fn average_rate(channel: Channel) -> String {
    let (tasks, status) = channel.summary.with(|summary| (summary.lap_tasks, summary.status));
    let seconds = channel.elapsed().max(1) as f64 / 1_000.0;
    if status == Status::Finished { format::rate(f64::from(tasks) / seconds) } else { "–".into() }
}

#[component]
fn Figure<V>(
    /// What is counted.
    name: &'static str,
    /// The value for people.
    value: V,
) -> impl IntoView
where
    V: Fn() -> String + Send + Sync + 'static,
{
    view! {
        <div class="figure">
            <dt>{name}</dt>
            <dd>{value}</dd>
        </div>
    }
}

//! The progress of a batch: counts, rate and time left.

use leptos::prelude::*;
use quilt::number::decimal;
use viewer::{format, words};

use crate::components::shared::{When, flag, memo_text, text};
use crate::live::use_batch;

/// `part` of `whole` as a CSS percentage, such as `12.500%`.
pub(crate) fn percent(part: u32, whole: u32) -> String {
    decimal(f64::from(part) * 100.0 / f64::from(whole.max(1)), 3) + "%"
}

/// The label and number of the squares without an outcome. "Not run" replaces "Remaining" when a batch is stopped, so that the layout
/// stays. Remaining squares are pending or retried.
fn unsettled(progress: quilt::Progress) -> (&'static str, u32) {
    match progress.pending() {
        0 if progress.not_run > 0 => ("Not run", progress.not_run),
        pending => ("Remaining", pending),
    }
}

/// Announced at each quarter. The banner announces the end.
fn quarter(progress: quilt::Progress) -> String {
    match u64::from(progress.settled()) * 4 / u64::from(progress.tasks.max(1)) {
        quarter @ 1..=3 => format!("{} % settled", quarter * 25),
        _ => String::new(),
    }
}

/// The progress bar and the figures below it.
#[component]
pub(crate) fn ProgressPanel() -> impl IntoView {
    let channel = use_batch().channel;
    let (signals, progress) = (channel.signals, channel.shown_progress);
    let count = move |count: fn(quilt::Progress) -> u32| text(move || format::count(count(progress.get())));
    let rate = text(move || words::rate(&signals.shown.get(), signals.pace.get(), channel.elapsed()));
    let time_left = text(move || words::time_left(&signals.shown.get(), signals.pace.get()));
    let elapsed = text(move || format::duration(channel.elapsed()));
    let running = text(move || match signals.load.get() {
        Some(load) if channel.is_running() => {
            format!("{} of {}", format::count(load.running()), format::count(load.slots()))
        }
        _ => "–".into(),
    });
    // They keep their places, so that the banner does not move.
    let is_over = flag(move || !channel.is_running());
    let unresponsive = move || signals.load.get().map_or(0, |load| load.unresponsive);
    let share =
        move |count: fn(quilt::Progress) -> u32| text(move || percent(count(progress.get()), progress.get().tasks));
    view! {
        <section class="progress-panel" aria-label="Progress">
            <p class="visually-hidden" role="status" aria-label="Progress so far">
                {memo_text(move || quarter(progress.get()))}
            </p>
            <div
                class="bar"
                role="progressbar"
                aria-label="Settled squares"
                aria-valuemin="0"
                aria-valuemax=text(move || progress.get().tasks.to_string())
                aria-valuenow=text(move || progress.get().settled().to_string())
                aria-valuetext=text(move || words::progress(&signals.shown.get()))
            >
                <span class="bar-done" style:width=share(|progress| progress.done)></span>
                <span class="bar-failed" style:width=share(|progress| progress.failed)></span>
            </div>
            <dl class="figures">
                <Figure name="Done" value=count(|progress| progress.done) />
                <Figure name="Failed" value=count(|progress| progress.failed) />
                <div class="figure">
                    <dt>{text(move || unsettled(progress.get()).0.into())}</dt>
                    <dd>{count(|progress| unsettled(progress).1)}</dd>
                </div>
                <Figure name="Rate" value=rate />
                <Figure name="Elapsed" value=elapsed />
                <Figure name="Time left" value=time_left is_reserved=is_over />
                <Figure name="Running" value=running is_reserved=is_over />
            </dl>
            <When condition=flag(move || { unresponsive() > 0 })>
                <p class="unresponsive">
                    {text(move || unresponsive().to_string())}
                    " of the server's workers wait for tasks that do not end though their time is over."
                </p>
            </When>
        </section>
    }
}

#[component]
fn Figure(
    name: &'static str,
    value: Signal<String>,
    /// Whether only its place is there.
    #[prop(optional, into)]
    is_reserved: Signal<bool>,
) -> impl IntoView {
    view! {
        <div class="figure" class:reserved=is_reserved>
            <dt>{name}</dt>
            <dd>{value}</dd>
        </div>
    }
}

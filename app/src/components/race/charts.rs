//! Two charts: tasks done over time, and attempts by duration.

use std::fmt::Write;

use leptos::prelude::*;
use quilt::race::{DURATION_BINS, Race, duration_of_bin};
use viewer::format;

use crate::components::shared::text;
use crate::live::use_batch;

/// Both charts. Updates change the paths and reuse the elements.
#[component]
pub(crate) fn Charts() -> impl IntoView {
    let channel = use_batch().channel;
    let of_race = move |draw: fn(&Race) -> (String, String)| {
        Memo::new(move |_| {
            channel.signals.race_version.track();
            channel.quilt.with_untracked(|viewer| draw(viewer.race())).unwrap_or_default()
        })
    };
    let (curve, histogram) = (of_race(curve), of_race(histogram));
    let caption = |chart: Memo<(String, String)>| text(move || chart.with(|(_, caption)| caption.clone()));
    let path = |chart: Memo<(String, String)>| text(move || chart.with(|(path, _)| path.clone()));
    let area = text(move || curve.with(|(path, _)| format!("{path}L100 40Z")));
    let over_time = text(move || curve.with(|(_, caption)| caption.replace(" squares done", "")));
    view! {
        <div class="charts">
            <figure>
                <svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label=caption(curve)>
                    <path class="area" d=area />
                    <path class="line" d=path(curve) />
                </svg>
                <figcaption>"Squares done over time: " {over_time}</figcaption>
            </figure>
            <figure>
                <svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label=caption(histogram)>
                    <path class="bars" d=path(histogram) />
                </svg>
                <figcaption>{caption(histogram)}</figcaption>
            </figure>
        </div>
    }
}

/// The SVG path of the number of tasks done over time, and a caption.
fn curve(race: &Race) -> (String, String) {
    let total: u32 = race.done().iter().sum();
    let bins = 1 + race.done().iter().rposition(|count| *count > 0).unwrap_or_default();
    let mut path = String::from("M0 40");
    let mut so_far = 0;
    for (bin, count) in race.done().iter().take(bins).enumerate() {
        so_far += count;
        let (x, y) =
            ((bin + 1) as f64 * 100.0 / bins as f64, 40.0 - f64::from(so_far) * 38.0 / f64::from(total.max(1)));
        // Writing to a string cannot fail.
        let _ = write!(path, "L{x:.1} {y:.1}");
    }
    let took = format::duration(u64::from(race.bin_ms()) * bins as u64);
    (path, format!("{} squares done in {took}", format::count(total)))
}

/// The SVG path of the histogram of attempts by duration, and a caption.
fn histogram(race: &Race) -> (String, String) {
    let durations = race.durations();
    let is_used = |count: &u32| *count > 0;
    let first = durations.iter().position(is_used).unwrap_or_default();
    let last = durations.iter().rposition(is_used).unwrap_or_default();
    let most = f64::from(durations.iter().copied().max().unwrap_or(1).max(1));
    let width = 100.0 / (last - first + 1) as f64;
    let mut path = String::new();
    for (place, count) in
        durations.iter().skip(first).take(last - first + 1).enumerate().filter(|(_, count)| is_used(count))
    {
        // A minimum height keeps small counts visible.
        let height = (f64::from(*count) * 38.0 / most).max(0.7);
        let (x, y, bar) = (place as f64 * width, 40.0 - height, width * 0.9);
        let _ = write!(path, "M{x:.2} {y:.2}h{bar:.2}v{height:.2}h-{bar:.2}z");
    }
    let duration = |bin: usize| format::duration(duration_of_bin(bin.min(DURATION_BINS - 1)).into());
    (path, format!("Attempts by duration: {} to {}", duration(first), duration(last + 1)))
}

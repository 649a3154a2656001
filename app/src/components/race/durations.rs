//! The histogram of attempts by duration.

use leptos::prelude::*;
use viewer::chart::{self, Histogram};
use viewer::format;

use super::axis::{Ticks, place_in_plot, with_race};
use crate::components::shared::{keys, on, text};
use crate::live::use_batch;

/// Attempts by duration, on a logarithmic axis.
#[component]
pub(super) fn Durations() -> impl IntoView {
    let batch = use_batch();
    let histogram = move || with_race(batch, Histogram::of);
    let caption = text(move || {
        with_race(batch, |race| race.extremes()).map_or(String::new(), |(shortest, longest)| {
            let [shortest, longest] = [shortest, longest].map(|ms| format::duration(ms.into()));
            format!("Attempts by duration: {shortest} to {longest}")
        })
    });
    let ticks = keys(move || {
        let Histogram { first, last, .. } = histogram();
        let ticks = chart::duration_ticks(first, last).into_iter();
        ticks.map(|(place, ms)| format!("{place} {}", chart::tick_label(ms))).collect()
    });
    let values = RwSignal::new(String::new());
    let point = move |event: web_sys::PointerEvent| {
        let value = |(_, place)| {
            let read = |viewer: &viewer::Viewer| Histogram::of(viewer.race()).value_at(viewer.race(), place);
            batch.channel.quilt.with_untracked(read)
        };
        values.set(place_in_plot(&event).and_then(value).unwrap_or_default());
    };
    view! {
        <div class="durations">
            <div class="lane">
                <span class="scale-y" aria-hidden="true">
                    <span>{text(move || format::count(histogram().most))}</span>
                    <span>"attempts"</span>
                    <span>"0"</span>
                </span>
                <div class="plot curve" data-plot="" on:pointermove=on(point) on:pointerleave=on(move |_| values.set(String::new()))>
                    <svg
                        viewBox=text(move || format!("0 0 {} {}", histogram().width(), chart::HEIGHT))
                        preserveAspectRatio="none"
                        role="img"
                        aria-label=caption
                    >
                        <path class="bars" d=text(move || histogram().path) />
                    </svg>
                </div>
                <div class="chart-words">
                    <p>{caption}</p>
                    <p class="quiet" aria-hidden="true">{values}</p>
                </div>
            </div>
            <div class="lane">
                <span class="scale-x">"Duration"</span>
                <div class="axis">
                    <Ticks ticks />
                </div>
            </div>
        </div>
    }
}

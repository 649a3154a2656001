//! The time axis that the charts of the race share, and what else they have in common.

use leptos::prelude::*;
use quilt::Race;
use viewer::chart;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, PointerEvent};

use crate::components::batch::percent;
use crate::components::shared::{Each, each, keys, text};
use crate::live::Batch;

/// The length of the time axis: that of the lap up to the displayed moment, in milliseconds.
pub(super) fn span_ms(batch: Batch) -> u32 {
    u32::try_from(batch.channel.elapsed()).unwrap_or(u32::MAX).max(1)
}

/// The box of paths over time.
pub(super) fn view_box(batch: Batch) -> Signal<String> {
    text(move || format!("0 0 {} {}", span_ms(batch), chart::HEIGHT))
}

/// Reads the displayed attempts. Tracks their changes.
pub(super) fn with_race<T: Default>(batch: Batch, read: impl FnOnce(&Race) -> T) -> T {
    batch.channel.signals.race_version.track();
    batch.channel.quilt.with_untracked(|viewer| read(viewer.race())).unwrap_or_default()
}

/// The labels of an axis. A tick is its place in thousandths of the axis, a space, and its label.
#[component]
pub(super) fn Ticks(ticks: Signal<Vec<String>>) -> impl IntoView {
    // Each key is the number of a tick, so that elements stay while the axis changes.
    let numbers = keys(move || ticks.with(|ticks| (0..ticks.len()).map(|number| number.to_string()).collect()));
    let tick = move |number: String| {
        let number: usize = number.parse().unwrap_or_default();
        let part = move |is_label: bool| {
            text(move || {
                let ticks = ticks.get();
                let (place, label) = ticks.get(number).and_then(|tick| tick.split_once(' ')).unwrap_or_default();
                if is_label {
                    label.to_owned()
                } else {
                    format!("--place:{}", percent(place.parse().unwrap_or(0), 1_000))
                }
            })
        };
        view! { <span class="tick" style=part(false)>{part(true)}</span> }
    };
    view! {
        <div class="ticks" aria-hidden="true">
            <Each keys=numbers view=each(tick) />
        </div>
    }
}

/// The element of a chart under the pointer, and the place in it in thousandths of its width.
pub(super) fn place_in_plot(event: &PointerEvent) -> Option<(HtmlElement, u32)> {
    let plot: HtmlElement = event.target()?.dyn_into().ok()?;
    let place = i64::from(event.offset_x()) * 1_000 / i64::from(plot.offset_width().max(1));
    plot.has_attribute("data-plot").then(|| (plot, place.clamp(0, 1_000) as u32))
}

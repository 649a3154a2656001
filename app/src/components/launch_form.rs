//! The form that launches a batch.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::actions::Launch;
use crate::components::launch_pad::LaunchPad;
use crate::components::post_form::Refusal;

/// A size to choose, and a pace at which a quilt of this size is nice to watch.
struct Preset {
    value: &'static str,
    name: &'static str,
    squares: &'static str,
    shortest_ms: &'static str,
    longest_ms: &'static str,
}

#[rustfmt::skip]
const PRESETS: [Preset; 5] = [
    Preset { value: "8x8", name: "8 × 8", squares: "64 tasks", shortest_ms: "100", longest_ms: "2000" },
    Preset { value: "32x32", name: "32 × 32", squares: "1,024 tasks", shortest_ms: "50", longest_ms: "400" },
    Preset { value: "64x64", name: "64 × 64", squares: "4,096 tasks", shortest_ms: "10", longest_ms: "150" },
    Preset { value: "256x256", name: "256 × 256", squares: "65,536 tasks", shortest_ms: "0", longest_ms: "10" },
    Preset { value: "1024x1024", name: "1,024 × 1,024", squares: "1,048,576 tasks", shortest_ms: "0", longest_ms: "1" },
];

/// Works with and without JavaScript; what the server refuses is told above the button.
#[component]
pub(crate) fn LaunchForm(
    /// Why the form was refused that was posted without JavaScript.
    refusal: Option<String>,
) -> impl IntoView {
    let presets = PRESETS.iter().enumerate().map(|(place, preset)| view! {
        <label class="preset">
            <input type="radio" name="form[size]" value=preset.value checked=place == 0 data-shortest=preset.shortest_ms data-longest=preset.longest_ms />
            <span class="swatch" data-preset=preset.value aria-hidden="true"></span>
            <span class="preset-name">{preset.name}</span>
            <span class="preset-squares">{preset.squares}</span>
        </label>
    });
    view! {
        <LaunchPad>
            <form method="post" action=Launch::PATH>
                <fieldset class="presets">
                    <legend>"How many squares?"</legend>
                    {presets.collect_view()}
                </fieldset>
                <details class="harder">
                    <summary>"Make it harder"</summary>
                    <div class="fields">
                        <Field name="failure_percent" label="Attempts that fail" unit="%" value="0" max="100" />
                        <Field name="attempts" label="Attempts a task has" unit="at most" value="3" min="1" max="20" />
                        <Field name="shortest_ms" label="Shortest task" unit="ms" value=PRESETS[0].shortest_ms max="3600000" />
                        <Field name="longest_ms" label="Longest task" unit="ms" value=PRESETS[0].longest_ms max="3600000" />
                        <Field name="timeout_ms" label="Time limit of an attempt" unit="ms" value="60000" min="1" max="3600000" />
                        <Field name="concurrency" label="Tasks at the same time" unit="at most" value="" min="1" max="65536" />
                        <Field name="tolerated_percent" label="Tolerated failures" unit="%" value="" max="100" />
                        <Field name="deadline_s" label="Deadline" unit="s" value="" min="1" max="604800" />
                    </div>
                </details>
                <Refusal reason=refusal />
                <button type="submit" class="button primary launch">"Launch"</button>
            </form>
        </LaunchPad>
    }
}

/// A number with its unit. One without a value can be left empty.
#[component]
fn Field(
    name: &'static str,
    label: &'static str,
    unit: &'static str,
    value: &'static str,
    #[prop(default = "0")] min: &'static str,
    max: &'static str,
) -> impl IntoView {
    view! {
        <label class="field">
            <span>{label}</span>
            <span class="field-value">
                <input type="number" inputmode="numeric" name=format!("form[{name}]") value=value min=min max=max step="1" required=!value.is_empty() placeholder="no limit" />
                <span class="unit">{unit}</span>
            </span>
        </label>
    }
}

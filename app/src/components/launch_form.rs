//! The form that launches a batch.

use leptos::html::Input;
use leptos::prelude::*;

use crate::components::post_form::{PostForm, Posting, Refusal, action};

/// A size to choose, and a pace at which a quilt of this size is nice to watch.
struct Preset {
    value: &'static str,
    name: &'static str,
    squares: &'static str,
    shortest_ms: &'static str,
    longest_ms: &'static str,
}

const PRESETS: [Preset; 3] = [
    Preset { value: "8x8", name: "8 × 8", squares: "64 tasks", shortest_ms: "100", longest_ms: "2000" },
    Preset { value: "32x32", name: "32 × 32", squares: "1,024 tasks", shortest_ms: "50", longest_ms: "400" },
    Preset { value: "64x64", name: "64 × 64", squares: "4,096 tasks", shortest_ms: "10", longest_ms: "150" },
];

/// Works with and without JavaScript; what the server refuses is told above the button.
#[island]
pub fn LaunchForm(
    /// Why the form was refused that was posted without JavaScript.
    refusal: Option<String>,
) -> impl IntoView {
    let launch = Posting::new(refusal);
    let shortest = NodeRef::<Input>::new();
    let longest = NodeRef::<Input>::new();
    let choose = move |preset: &'static Preset| {
        for (field, value) in [(shortest, preset.shortest_ms), (longest, preset.longest_ms)] {
            if let Some(field) = field.get_untracked() {
                field.set_value(value);
            }
        }
    };
    view! {
        <PostForm action=action::LAUNCH posting=launch>
            <fieldset class="presets">
                <legend>"How many squares?"</legend>
                {PRESETS
                    .iter()
                    .enumerate()
                    .map(|(place, preset)| view! {
                        <label class="preset">
                            <input type="radio" name="form[size]" value=preset.value checked=place == 0 on:change=move |_| choose(preset) />
                            <span class="swatch" data-preset=preset.value aria-hidden="true"></span>
                            <span class="preset-name">{preset.name}</span>
                            <span class="preset-squares">{preset.squares}</span>
                        </label>
                    })
                    .collect_view()}
            </fieldset>
            <details class="harder">
                <summary>"Make it harder"</summary>
                <div class="fields">
                    <Field name="failure_percent" label="Attempts that fail" unit="%" value="0" max="100" />
                    <Field name="attempts" label="Attempts a task has" unit="at most" value="3" min="1" max="20" />
                    <Field name="shortest_ms" label="Shortest task" unit="ms" value=PRESETS[0].shortest_ms max="3600000" node_ref=shortest />
                    <Field name="longest_ms" label="Longest task" unit="ms" value=PRESETS[0].longest_ms max="3600000" node_ref=longest />
                    <Field name="timeout_ms" label="Time limit of an attempt" unit="ms" value="60000" min="1" max="3600000" />
                    <Field name="concurrency" label="Tasks at the same time" unit="at most" value="" min="1" max="65536" />
                    <Field name="tolerated_percent" label="Tolerated failures" unit="%" value="" max="100" />
                    <Field name="deadline_s" label="Deadline" unit="s" value="" min="1" max="604800" />
                </div>
            </details>
            <Refusal posting=launch />
            <button type="submit" class="button primary launch" disabled=move || launch.is_pending.get()>
                {move || if launch.is_pending.get() { "Launching…" } else { "Launch" }}
            </button>
        </PostForm>
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
    #[prop(optional)] node_ref: NodeRef<Input>,
) -> impl IntoView {
    view! {
        <label class="field">
            <span>{label}</span>
            <span class="field-value">
                <input type="number" inputmode="numeric" name=format!("form[{name}]") value=value min=min max=max step="1" required=!value.is_empty() placeholder="no limit" node_ref=node_ref />
                <span class="unit">{unit}</span>
            </span>
        </label>
    }
}

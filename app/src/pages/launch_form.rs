//! The fields of the launch form, rendered on the server from the description of each kind of work.

use engine::work::{Field, FieldKind, Form, Preset};
use leptos::prelude::*;
use viewer::format;

use crate::actions::PARAMETER_PREFIX;
use crate::islands::LaunchForm;

/// A kind of work that has a launch form.
pub(crate) struct Launchable {
    pub(crate) kind: &'static str,
    pub(crate) form: Form,
}

/// The kinds to choose from, and the form of the chosen one.
#[component]
pub(crate) fn LaunchTabs(
    /// All kinds to choose from.
    kinds: Vec<Launchable>,
    /// The name of the chosen kind.
    chosen: String,
    /// Why a form that was posted without JavaScript was refused.
    refusal: Option<String>,
) -> impl IntoView {
    let tabs: Vec<_> = kinds
        .iter()
        .map(|Launchable { kind, form }| {
            let current = (*kind == chosen).then_some("page");
            view! { <a href=format!("/?work={kind}") class="tab" aria-current=current>{form.title}</a> }
        })
        .collect();
    let launchable = kinds.into_iter().find(|launchable| launchable.kind == chosen);
    view! {
        <nav class="tabs" aria-label="What the tasks do">{tabs}</nav>
        {launchable.map(|Launchable { kind, form }| view! { <KindForm kind form refusal /> })}
    }
}

#[component]
fn KindForm(kind: &'static str, form: Form, refusal: Option<String>) -> impl IntoView {
    let Form { about, presets, draws_presets, counts_tasks, fields, .. } = form;
    let drawn = draws_presets.then_some(kind);
    let has_presets = !presets.is_empty();
    let first: Vec<(&str, &str)> = presets.first().map(|preset| preset.values.to_vec()).unwrap_or_default();
    let (advanced, plain): (Vec<Field>, Vec<Field>) = fields.into_iter().partition(|field| field.is_advanced);
    let inputs = |fields: Vec<Field>| fields.into_iter().map(|field| field_view(field, &first)).collect_view();
    let (plain, advanced) = (inputs(plain), inputs(advanced));
    let size = (!has_presets && !counts_tasks).then(|| {
        view! {
            <div class="fields">
                <NumberField name="rows".into() label="Rows" unit="squares" value="16" min="1" max="4096" />
                <NumberField name="columns".into() label="Columns" unit="squares" value="16" min="1" max="4096" />
            </div>
        }
    });
    view! {
        <LaunchForm refusal>
                <input type="hidden" name="kind" value=kind />
                <p class="about">{about}</p>
                {has_presets.then(|| view! {
                    <fieldset class="presets">
                        <legend>{if kind == "color" { "How many squares?" } else { "Which picture?" }}</legend>
                        {presets.into_iter().enumerate().map(|(place, preset)| preset_view(place, &preset, drawn)).collect_view()}
                    </fieldset>
                })}
                <div class="fields wide">{plain}</div>
                {size}
                <details class="harder">
                    <summary>"Make it harder"</summary>
                    <div class="fields">
                        {advanced}
                        <NumberField name="attempts".into() label="Attempts a task has" unit="at most" value="3" min="1" max="20" />
                        <NumberField name="timeout_ms".into() label="Time limit of an attempt" unit="ms" value="60000" min="1" max="3600000" />
                        <NumberField name="concurrency".into() label="Tasks at the same time" unit="at most" value="" min="1" max="65536" />
                        <NumberField name="tolerated_percent".into() label="Tolerated failures" unit="%" value="" max="100" />
                        <NumberField name="deadline_s".into() label="Deadline" unit="s" value="" min="1" max="604800" />
                    </div>
                </details>
        </LaunchForm>
    }
}

/// A choice that fills in the fields named in its `data-values` attribute.
fn preset_view(place: usize, preset: &Preset, drawn: Option<&str>) -> impl IntoView + use<> {
    let Preset { name, size: (rows, columns), values } = preset;
    let size = format!("{rows}x{columns}");
    let squares = format!("{} tasks", format::count(u32::from(*rows) * u32::from(*columns)));
    let values: Vec<String> = values.iter().map(|(name, value)| format!("{PARAMETER_PREFIX}{name}={value}")).collect();
    view! {
        <label class="preset">
            <input type="radio" name="size" value=size.clone() checked=place == 0 data-values=values.join("&") />
            {match drawn {
                Some(kind) => view! { <img class="preview" src=format!("/presets/{kind}/{place}.png") alt="" width="72" height="72" /> }.into_any(),
                None => view! { <span class="swatch" data-preset=size aria-hidden="true"></span> }.into_any(),
            }}
            <span class="preset-name">{*name}</span>
            <span class="preset-squares">{squares}</span>
        </label>
    }
}

/// The inputs of a parameter. Their initial values are those of the first preset.
fn field_view(field: Field, first: &[(&'static str, &'static str)]) -> AnyView {
    let Field { name, label, kind, .. } = field;
    let preset = |name: &str| first.iter().find_map(|(of, value)| (*of == name).then_some(*value));
    let input = format!("{PARAMETER_PREFIX}{name}");
    match kind {
        FieldKind::Number { unit, value, min, max, step } => {
            let value = preset(name).unwrap_or(value);
            view! { <NumberField name=input label unit value min max step placeholder="as usual" /> }.into_any()
        }
        FieldKind::Percent { value } => view! { <NumberField name=input label unit="%" value max="100" /> }.into_any(),
        FieldKind::Range { other_label, unit, values: (least, most), max } => {
            let value = |place: &str, value| preset(&format!("{name}.{place}")).unwrap_or(value);
            let (least, most) = (value("0", least), value("1", most));
            view! {
                <NumberField name=format!("{input}.0") label unit value=least max />
                <NumberField name=format!("{input}.1") label=other_label unit value=most max />
            }
            .into_any()
        }
        FieldKind::Choice(choices) => {
            let chosen = preset(name);
            let options = choices.into_iter().map(|(value, label)| {
                let selected = chosen == Some(value.as_str());
                view! { <option value=value selected=selected>{label}</option> }
            });
            view! {
                <label class="field">
                    <span>{label}</span>
                    <span class="field-value"><select name=input aria-label=label>{options.collect_view()}</select></span>
                </label>
            }
            .into_any()
        }
        FieldKind::Text { example } => view! {
            <label class="field">
                <span>{label}</span>
                <span class="field-value"><input type="text" name=input placeholder=example /></span>
            </label>
        }
        .into_any(),
        FieldKind::Lines { example } => view! {
            <label class="field tall">
                <span>{label}</span>
                <span class="field-value"><textarea name=input rows="6" placeholder=example spellcheck="false"></textarea></span>
            </label>
            <label class="field">
                <span>"Or a file with one a line"</span>
                <span class="field-value"><input type="file" name="file" accept="text/plain,.txt,.csv,.list" /></span>
            </label>
        }
        .into_any(),
        FieldKind::File { accept } => view! {
            <label class="field">
                <span>{label}</span>
                <span class="field-value"><input type="file" name="file" accept=accept required=true /></span>
            </label>
        }
        .into_any(),
    }
}

/// A number input with its unit. It is required if it has an initial value.
#[component]
fn NumberField(
    name: String,
    label: &'static str,
    unit: &'static str,
    value: &'static str,
    #[prop(default = "0")] min: &'static str,
    max: &'static str,
    #[prop(default = "1")] step: &'static str,
    #[prop(default = "no limit")] placeholder: &'static str,
) -> impl IntoView {
    view! {
        <label class="field">
            <span>{label}</span>
            <span class="field-value">
                <input type="number" inputmode="decimal" name=name value=value min=min max=max step=step required=!value.is_empty() placeholder=placeholder />
                <span class="unit">{unit}</span>
            </span>
        </label>
    }
}

//! The launch form, rendered on the server from the description of each kind of work.

use std::cell::Cell;

use engine::work::{Field, Form, Preset};
use leptos::prelude::*;
use quilt::BatchId;
use viewer::format;

use super::fields::{Context, some};
use crate::actions::{CUSTOM, FROM, Invalid, NumberRule, PRESET, REUSES_INPUT, Values, limit_fields};
use crate::islands::LaunchForm;
use crate::model::ActionError;

/// A kind of work that has a launch form.
pub(crate) struct Launchable {
    pub(crate) kind: &'static str,
    pub(crate) form: Form,
}

/// What a form is filled in with.
#[derive(Default)]
pub(crate) struct Filled {
    pub(crate) values: Values,
    /// The batch that the values are from, with its name.
    pub(crate) from: Option<(BatchId, String)>,
    /// The size in bytes of that batch's input, which is used again unless another one is given.
    pub(crate) reused: Option<u64>,
    /// Whether the values were posted and refused.
    pub(crate) is_draft: bool,
}

/// The kinds to choose from, and the form of the chosen one.
#[component]
pub(crate) fn LaunchTabs(
    /// All kinds to choose from.
    kinds: Vec<Launchable>,
    /// The name of the chosen kind.
    chosen: String,
    /// What the form is filled in with.
    filled: Filled,
    /// Why the form was refused when it was posted without JavaScript.
    refusal: Option<ActionError>,
) -> impl IntoView {
    let tabs: Vec<_> = kinds
        .iter()
        .map(|Launchable { kind, form }| {
            let current = (*kind == chosen).then_some("page");
            view! { <a href=format!("/?work={kind}#launch") class="tab" aria-current=current>{form.title}</a> }
        })
        .collect();
    let launchable = kinds.into_iter().find(|launchable| launchable.kind == chosen);
    view! {
        <nav class="tabs" aria-label="What the tasks do">{tabs}</nav>
        {launchable.map(|Launchable { kind, form }| view! { <KindForm kind form filled refusal /> })}
    }
}

#[component]
fn KindForm(kind: &'static str, form: Form, filled: Filled, refusal: Option<ActionError>) -> impl IntoView {
    let (refused, refusal) = match refusal {
        Some(ActionError::Invalid(field, reason)) => (Some(Invalid { field, reason }), None),
        other => (None, other.map(|error| error.to_string())),
    };
    let Filled { values, from, reused, is_draft } = filled;
    let is_displayed = Cell::new(false);
    let context = Context {
        is_displayed: &is_displayed,
        values: &values,
        refused: refused.as_ref(),
        max_upload: crate::server::max_upload(),
        reuses_input: reused.is_some(),
    };
    let limits = crate::server::limits();
    let Form { about, presets, presets_label, draws_presets, counts_tasks, examples, advanced_label, fields, .. } =
        form;
    // An earlier batch has a size and all parameters of its own.
    let presets = if from.is_some() { Vec::new() } else { presets };
    let (advanced, plain): (Vec<Field>, Vec<Field>) = fields.into_iter().partition(|field| field.is_advanced);
    let is_advanced_refused = refused.as_ref().is_some_and(|Invalid { field, .. }| {
        let of_field =
            |known: &Field| field.starts_with(&format!("{}{}", crate::actions::PARAMETER_PREFIX, known.name));
        advanced.iter().any(of_field) || limit_fields(&limits).iter().any(|limit| limit.name == field)
    });
    let side = |name: &str, label| {
        let rule = NumberRule { min: 1.0, max: limits.side.into(), is_whole: true };
        context.number(name.into(), label, "", "16", String::new(), rule)
    };
    let size = (!counts_tasks).then(|| {
        view! {
            <div class="fields size">
                {side("rows", "Rows")}
                {side("columns", "Columns")}
            </div>
        }
    });
    let has_size_error = refused.as_ref().is_some_and(|refused| ["rows", "columns"].contains(&&*refused.field));
    let chosen = if has_size_error { CUSTOM } else { values.preset().unwrap_or("0") };
    let presets = (!presets.is_empty()).then(|| {
        let drawn = draws_presets.then_some(kind);
        let error = some(context.refusal(PRESET));
        let cards = presets.into_iter().enumerate();
        let cards = cards.map(|(place, preset)| preset_view(place, &preset, drawn, chosen == place.to_string()));
        view! {
            <fieldset class="presets field" class:drawn=draws_presets>
                <legend>{presets_label}</legend>
                {cards.collect_view()}
                <label class="preset custom">
                    <input type="radio" name=PRESET value=CUSTOM checked=chosen == CUSTOM />
                    <span class="preset-name">"Custom size"</span>
                </label>
                <small class="error">{error}</small>
            </fieldset>
        }
    });
    let examples: Vec<_> = examples
        .iter()
        .enumerate()
        .map(|(place, example)| view! { <a href=format!("/?work={kind}&example={place}#launch")>{example.label}</a> })
        .collect();
    let examples = (!examples.is_empty()).then(|| view! { " Try " {examples} "." });
    let plain: Vec<_> = plain.into_iter().map(|field| context.parameter(field)).collect();
    let advanced: Vec<_> = advanced.into_iter().map(|field| context.parameter(field)).collect();
    let limit_inputs: Vec<_> = limit_fields(&limits).into_iter().map(|field| context.limit(field)).collect();
    let title = context.title();
    let advanced_label = if advanced_label.is_empty() { "Advanced options" } else { advanced_label };
    let is_open = is_advanced_refused || is_draft || from.is_some();
    let reused = reused.map(|bytes| {
        view! {
            <input type="hidden" name=REUSES_INPUT value="true" />
            <p class="reused">
                {format!("The input of that batch ({}) is used again, unless you give another one.", format::size(bytes))}
            </p>
        }
    });
    let from = from.map(|(id, name)| {
        view! {
            <input type="hidden" name=FROM value=id.to_string() />
            <p class="filled-from">
                "Filled in from " <a href=format!("/batches/{id}")><bdi>{name}</bdi></a> ". "
                <a href=format!("/?work={kind}#launch")>"Start with an empty form"</a>
            </p>
        }
    });
    // A refusal of a field that this form does not have.
    let refusal = refusal.or_else(|| refused.filter(|_| !is_displayed.get()).map(|refused| refused.reason));
    view! {
        {refusal.map(|refusal| view! { <p class="refusal" role="alert">{refusal}</p> })}
        <LaunchForm>
            <input type="hidden" name="kind" value=kind />
            <p class="about">{about}{examples}</p>
            {from}
            {presets}
            <div class="fields wide">{plain}</div>
            {reused}
            {size}
            <details class="advanced" open=is_open>
                <summary>{advanced_label} " " <span class="changed"></span></summary>
                <div class="fields">
                    {advanced}
                    {limit_inputs}
                </div>
            </details>
            {title}
        </LaunchForm>
    }
}

/// A choice of a size and parameters.
fn preset_view(place: usize, preset: &Preset, drawn: Option<&str>, checked: bool) -> impl IntoView + use<> {
    let Preset { name, about, size: (rows, columns), .. } = preset;
    let tasks = format!("{} tasks", format::count(u32::from(*rows) * u32::from(*columns)));
    let about = if about.is_empty() { tasks } else { format!("{tasks}, {about}") };
    let picture = match drawn {
        Some(kind) => {
            view! { <img class="preview" src=format!("/presets/{kind}/{place}.png") alt="" width="72" height="72" /> }
                .into_any()
        }
        None => {
            view! { <span class="swatch" data-size=format!("{rows}x{columns}") aria-hidden="true"></span> }.into_any()
        }
    };
    view! {
        <label class="preset">
            <input type="radio" name=PRESET value=place.to_string() checked=checked />
            {picture}
            " "
            <span class="preset-name">{*name}</span>
            " "
            <span class="preset-squares">{about}</span>
        </label>
    }
}

//! The fields of the launch form.

use std::cell::Cell;

use engine::work::{Field, FieldKind};
use leptos::prelude::*;
use quilt::spec::MAX_TITLE;

use crate::actions::{FILE, Invalid, LimitField, NumberRule, PARAMETER_PREFIX, Values, plain};

/// What fields need to know.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) values: &'a Values,
    /// The field that was refused when the form was posted without JavaScript.
    pub(super) refused: Option<&'a Invalid>,
    /// Set once the reason is displayed at that field.
    pub(super) is_displayed: &'a Cell<bool>,
    /// The largest upload in bytes.
    pub(super) max_upload: usize,
    /// Whether the input of an earlier batch takes the place of a file.
    pub(super) reuses_input: bool,
}

/// The texts around an input.
struct Frame {
    name: String,
    label: String,
    /// The unit behind the input.
    unit: &'static str,
    /// What the input accepts; displayed when its value is invalid.
    rule: String,
    /// Additional CSS classes.
    class: &'static str,
}

/// The attributes that connect an input with its texts.
struct Connected {
    id: String,
    described_by: String,
    invalid: Option<&'static str>,
}

impl Context<'_> {
    /// The reason for which a field was refused, to be displayed there; empty if it was not.
    pub(super) fn refusal(self, name: &str) -> String {
        let refused = self.refused.filter(|refused| refused.field == name);
        self.is_displayed.set(self.is_displayed.get() || refused.is_some());
        refused.map_or_else(String::new, |refused| refused.reason.clone())
    }

    /// An input with its label, its unit and its messages.
    fn field<V: IntoView>(self, frame: Frame, input: impl FnOnce(Connected) -> V) -> AnyView {
        let Frame { name, label, unit, rule, class } = frame;
        let (id, rule_id, error_id) = (format!("field-{name}"), format!("rule-{name}"), format!("error-{name}"));
        let error = self.refusal(&name);
        let connected = Connected {
            id: id.clone(),
            described_by: format!("{rule_id} {error_id}"),
            invalid: (!error.is_empty()).then_some("true"),
        };
        // Not an empty text: that would be rendered as a space, and the style looks for elements without content.
        let (rule, error) = (some(rule), some(error));
        let unit = (!unit.is_empty()).then(|| view! { <span class="unit">{unit}</span> });
        view! {
            <div class=format!("field {class}")>
                <label for=id>{label}</label>
                <span class="field-value">{input(connected).into_any()} {unit}</span>
                <small class="rule" id=rule_id>{rule}</small>
                <small class="error" id=error_id>{error}</small>
            </div>
        }
        .into_any()
    }

    /// A number. `empty` says what an empty field means.
    pub(super) fn number(
        self,
        name: String,
        label: &str,
        unit: &'static str,
        initial: &str,
        empty: String,
        rule: NumberRule,
    ) -> AnyView {
        let value = self.values.get(&name, initial);
        let step = if rule.is_whole { "1" } else { "any" };
        let frame =
            Frame { name: name.clone(), label: label.into(), unit, rule: format!("{}.", rule.sentence()), class: "" };
        self.field(frame, |Connected { id, described_by, invalid }| {
            view! {
                <input
                    type="number"
                    inputmode="decimal"
                    id=id
                    name=name
                    value=value
                    min=plain(rule.min)
                    max=plain(rule.max)
                    step=step
                    placeholder=empty
                    aria-describedby=described_by
                    aria-invalid=invalid
                />
            }
        })
    }

    /// A limit of the batch.
    pub(super) fn limit(self, field: LimitField) -> AnyView {
        let LimitField { name, label, unit, value, empty, rule, .. } = field;
        self.number(name.into(), label, unit, &value, empty, rule)
    }

    /// The title of the batch.
    pub(super) fn title(self) -> AnyView {
        let frame = Frame {
            name: "title".into(),
            label: "Title".into(),
            unit: "",
            rule: format!("Enter at most {MAX_TITLE} characters."),
            class: "title-field",
        };
        self.text(frame, "optional", Some(MAX_TITLE))
    }

    /// A line of text.
    fn text(self, frame: Frame, placeholder: &'static str, max_length: Option<usize>) -> AnyView {
        let name = frame.name.clone();
        let value = self.values.get(&name, "");
        self.field(frame, |Connected { id, described_by, invalid }| {
            view! {
                <input
                    type="text"
                    id=id
                    name=name
                    value=value
                    maxlength=max_length.map(|length| length.to_string())
                    placeholder=placeholder
                    autocomplete="off"
                    aria-describedby=described_by
                    aria-invalid=invalid
                />
            }
        })
    }

    /// The inputs of a parameter.
    pub(super) fn parameter(self, field: Field) -> AnyView {
        let Field { name, label, kind, .. } = field;
        let input = format!("{PARAMETER_PREFIX}{name}");
        match kind {
            FieldKind::Number { unit, value, empty, min, max, step } => {
                let rule = NumberRule::of_attributes(min, max, step);
                self.number(input, label, unit.label, value, empty.into(), rule)
            }
            FieldKind::Percent { value } => {
                let rule = NumberRule { min: 0.0, max: 100.0, is_whole: false };
                self.number(input, label, "%", value, "Default: 0".into(), rule)
            }
            FieldKind::Range { other_label, unit, empty, max, step } => {
                let rule = NumberRule::of_attributes("0", max, step);
                let end = |place: u8, label| {
                    self.number(format!("{input}.{place}"), label, unit.label, "", empty.into(), rule)
                };
                view! {
                    {end(0, label)}
                    {end(1, other_label)}
                }
                .into_any()
            }
            FieldKind::Choice(choices) => self.choice(input, label, choices),
            FieldKind::Text { example } => {
                let frame = Frame { name: input, label: label.into(), unit: "", rule: String::new(), class: "" };
                self.text(frame, example, None)
            }
            FieldKind::Lines { example, file_label } => {
                let value = self.values.get(&input, "");
                let frame = Frame { name: input, label: label.into(), unit: "", rule: String::new(), class: "tall" };
                let name = frame.name.clone();
                let text = self.field(frame, |Connected { id, described_by, invalid }| {
                    view! {
                        <textarea
                            id=id
                            name=name
                            rows="3"
                            placeholder=example
                            spellcheck="false"
                            aria-describedby=described_by
                            aria-invalid=invalid
                        >
                            {value}
                        </textarea>
                    }
                });
                let file = self.file(file_label, "text/plain,.txt,.csv,.list", self.max_upload, false);
                view! {
                    {text}
                    {file}
                }
                .into_any()
            }
            FieldKind::File { accept, max_bytes } => {
                self.file(label, accept, self.max_upload.min(max_bytes as usize), !self.reuses_input)
            }
        }
    }

    fn choice(self, input: String, label: &str, choices: Vec<(String, String)>) -> AnyView {
        let first = choices.first().map(|(value, _)| value.clone()).unwrap_or_default();
        let chosen = self.values.get(&input, &first);
        // What an earlier batch had may not be offered any more.
        let chosen = if choices.iter().any(|(value, _)| *value == chosen) { chosen } else { first };
        let options = choices.into_iter().map(|(value, label)| {
            let selected = value == chosen;
            view! { <option value=value selected=selected>{label}</option> }
        });
        let options = options.collect_view();
        let frame = Frame { name: input, label: label.into(), unit: "", rule: String::new(), class: "" };
        let name = frame.name.clone();
        self.field(frame, |Connected { id, described_by, invalid }| {
            view! {
                <select id=id name=name aria-describedby=described_by aria-invalid=invalid>
                    {options}
                </select>
            }
        })
    }

    /// A file, which can be chosen or dropped on the input.
    fn file(self, label: &str, accept: &'static str, max: usize, required: bool) -> AnyView {
        let rule = format!("Choose a file of at most {} MiB.", max >> 20);
        let frame = Frame { name: FILE.into(), label: label.into(), unit: "", rule, class: "file" };
        self.field(frame, |Connected { id, described_by, invalid }| {
            view! {
                <input
                    type="file"
                    class="drop-zone"
                    id=id
                    name=FILE
                    accept=accept
                    required=required
                    data-max=max.to_string()
                    aria-describedby=described_by
                    aria-invalid=invalid
                />
            }
        })
    }
}

/// A text, or nothing if it is empty.
pub(super) fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

//! Parses the posted launch form. Every field is text, and an empty field counts as omitted.
//!
//! # Layout
//!
//! - `number`: numbers and units; `limits`: the fields that all forms have
//! - `values`: what a form is filled in with
//! - `refusal`: at which field a refusal is displayed, in the words of the form

mod limits;
mod number;
mod refusal;
mod values;

use std::collections::HashMap;

use api::{LaunchRequest, WorkSpec};
use engine::work::{FieldKind, Form, Preset};
use quilt::Limits;
use quilt::spec::MAX_TITLE;
use serde_json::{Map, Number, Value, json};

pub(crate) use limits::{LimitField, limit_fields, seconds};
pub(super) use number::to_parameter;
pub(crate) use number::{NumberRule, percent, plain};
pub(super) use refusal::{of_launch, sentence};
pub(crate) use values::Values;

/// The prefix of the names of the fields that belong to the kind of work.
pub(crate) const PARAMETER_PREFIX: &str = "parameters.";

/// The field with the uploaded file.
pub(crate) const FILE: &str = "file";

/// The field with the place of the chosen preset, or [`CUSTOM`].
pub(crate) const PRESET: &str = "preset";

/// The choice of rows and columns instead of a preset.
pub(crate) const CUSTOM: &str = "custom";

/// The field with the id of the batch whose form was filled in again.
pub(crate) const FROM: &str = "from";

/// Whether the input of that batch is used where no other one is given.
pub(crate) const REUSES_INPUT: &str = "reuse_input";

/// Why a form is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// The name of the field.
    pub(crate) field: String,
    /// What is wrong, in a sentence.
    pub(crate) reason: String,
}

impl Invalid {
    fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// Converts posted fields into a launch request. `base` is the request of the batch whose form was filled in again: what the form has no
/// field for stays as it was.
///
/// # Errors
///
/// The first field that cannot be parsed or is out of range.
pub(super) fn request(
    form: &Form,
    fields: &HashMap<String, String>,
    limits: &Limits,
    has_file: bool,
    base: Option<LaunchRequest>,
) -> Result<LaunchRequest, Invalid> {
    let fields = Fields(fields);
    let kind = fields.text("kind").ok_or_else(|| Invalid::new("kind", "The kind of work is missing."))?;
    let preset = fields.preset(form)?;
    let (rows, columns) = match preset {
        _ if form.counts_tasks => (None, None),
        Some(Preset { size: (rows, columns), .. }) => (Some((*rows).into()), Some((*columns).into())),
        None => (Some(fields.side("rows", limits)?), Some(fields.side("columns", limits)?)),
    };
    let mut parameters = base.as_ref().map(|base| base.work.parameters.clone()).unwrap_or_default();
    fields.read_parameters(form, preset, &mut parameters)?;
    fields.check_lines(form, has_file)?;
    let mut numbers = HashMap::new();
    for LimitField { name, rule, .. } in limit_fields(limits) {
        if let Some(number) = fields.number(name, rule)? {
            numbers.insert(name, number);
        }
    }
    let mut limit = |name: &str| numbers.remove(name);
    let tolerated = limit(limits::TOLERATED);
    let base = base.unwrap_or_else(|| LaunchRequest::new(WorkSpec { kind: kind.into(), parameters: Map::new() }));
    Ok(LaunchRequest {
        work: WorkSpec { kind: kind.into(), parameters },
        rows: rows.map(api::Number::from),
        columns: columns.map(api::Number::from),
        attempts: limit(limits::ATTEMPTS).map(Into::into),
        timeout_ms: limit(limits::TIMEOUT).map(|seconds| to_parameter(&seconds, 1_000).into()),
        concurrency: limit(limits::CONCURRENCY).map(Into::into),
        max_failures: base.max_failures.filter(|_| tolerated.is_none()),
        tolerated_failures: tolerated.map(|percent| number::to_share(&percent).into()),
        deadline_ms: limit(limits::DEADLINE).map(|seconds| to_parameter(&seconds, 1_000).into()),
        title: fields.title()?,
        seed: None,
        not_before: None,
        halt: base.halt,
        order: base.order,
        labels: base.labels,
        priority: base.priority,
    })
}

struct Fields<'a>(&'a HashMap<String, String>);

impl Fields<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// The chosen preset; `None` for rows and columns.
    fn preset<'form>(&self, form: &'form Form) -> Result<Option<&'form Preset>, Invalid> {
        match self.text(PRESET) {
            None | Some(CUSTOM) => Ok(None),
            Some(place) => {
                let preset = place.parse().ok().and_then(|place: usize| form.presets.get(place));
                preset.map(Some).ok_or_else(|| Invalid::new(PRESET, "Choose one of these."))
            }
        }
    }

    fn side(&self, name: &str, limits: &Limits) -> Result<u32, Invalid> {
        let rule = NumberRule { min: 1.0, max: limits.side.into(), is_whole: true };
        let side = self.number(name, rule)?.and_then(|number| number.as_u64()?.try_into().ok());
        side.ok_or_else(|| Invalid::new(name, format!("{}.", rule.sentence())))
    }

    fn number(&self, name: &str, rule: NumberRule) -> Result<Option<Number>, Invalid> {
        let Some(text) = self.text(name) else { return Ok(None) };
        rule.parse(text).map(Some).map_err(|reason| Invalid::new(name, reason))
    }

    fn title(&self) -> Result<Option<String>, Invalid> {
        let Some(title) = self.text("title") else { return Ok(None) };
        let characters = title.chars().count();
        if characters > MAX_TITLE {
            let reason = format!("Title must have at most {MAX_TITLE} characters, not {characters}.");
            return Err(Invalid::new("title", reason));
        }
        Ok(Some(title.into()))
    }

    /// Sets the parameters that the form has fields for. The preset has the values of empty fields.
    fn read_parameters(
        &self,
        form: &Form,
        preset: Option<&Preset>,
        parameters: &mut Map<String, Value>,
    ) -> Result<(), Invalid> {
        let of_preset = |name: &str| {
            let values = preset.map_or(&[][..], |preset| &preset.values);
            values.iter().find(|(of, _)| *of == name).map(|(_, value)| value)
        };
        for field in &form.fields {
            parameters.remove(field.name);
            let name = format!("{PARAMETER_PREFIX}{}", field.name);
            if let Some(value) = self.parameter(&name, field.label, &field.kind, of_preset(field.name))? {
                parameters.insert(field.name.into(), value);
            }
        }
        for (name, value) in preset.map_or(&[][..], |preset| &preset.values) {
            if !parameters.contains_key(*name) {
                parameters.insert((*name).into(), value.clone());
            }
        }
        Ok(())
    }

    fn parameter(
        &self,
        name: &str,
        label: &str,
        kind: &FieldKind,
        of_preset: Option<&Value>,
    ) -> Result<Option<Value>, Invalid> {
        Ok(match kind {
            FieldKind::Number { unit, min, max, step, .. } => {
                let number = self.number(name, NumberRule::of_attributes(min, max, step))?;
                number.map(|number| to_parameter(&number, unit.factor).into())
            }
            FieldKind::Percent { .. } => {
                let rule = NumberRule { min: 0.0, max: 100.0, is_whole: false };
                self.number(name, rule)?.map(|percent| number::to_share(&percent).into())
            }
            FieldKind::Range { other_label, unit, max, step, .. } => {
                let rule = NumberRule::of_attributes("0", max, step);
                let (first, last) = (format!("{name}.0"), format!("{name}.1"));
                let least = self.number(&first, rule)?;
                let most = self.number(&last, rule)?;
                if let (Some(least), Some(most)) = (&least, &most)
                    && least.as_f64() > most.as_f64()
                {
                    let unit = unit.label;
                    let reason =
                        format!("{label} ({least} {unit}) must not be longer than {other_label} ({most} {unit}).");
                    return Err(Invalid::new(first, reason));
                }
                let convert = |number: Number| to_parameter(&number, unit.factor).as_f64();
                range(least.and_then(convert), most.and_then(convert), of_preset)
            }
            FieldKind::Choice(_) | FieldKind::Text { .. } => self.text(name).map(Into::into),
            FieldKind::Lines { .. } => self.text(name).map(|text| lines_of(text).map(Value::from).collect()),
            // A file is not among the text fields.
            FieldKind::File { .. } => None,
        })
    }

    /// Refuses a form whose tasks are lines and that has none, neither in its fields nor in a file.
    fn check_lines(&self, form: &Form, has_file: bool) -> Result<(), Invalid> {
        let has_text = |name: &str| self.text(&format!("{PARAMETER_PREFIX}{name}")).is_some();
        for field in &form.fields {
            match field.kind {
                FieldKind::File { .. } if !has_file => {
                    return Err(Invalid::new(FILE, "Choose a file."));
                }
                FieldKind::Lines { .. } if !has_file && form.counts_tasks => {
                    let texts = |kind: &FieldKind| matches!(kind, FieldKind::Lines { .. } | FieldKind::Text { .. });
                    let mut others = form.fields.iter().filter(|other| !other.is_advanced && texts(&other.kind));
                    if !others.any(|other| has_text(other.name)) {
                        let reason = format!("{} are missing. Enter at least one line, or choose a file.", field.label);
                        return Err(Invalid::new(format!("{PARAMETER_PREFIX}{}", field.name), reason));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A range of which one end may be missing: that of the preset takes its place, as far as it is on the right side of the other end.
fn range(least: Option<f64>, most: Option<f64>, of_preset: Option<&Value>) -> Option<Value> {
    let end = |place: usize| of_preset.and_then(|range| range.get(place)).and_then(Value::as_f64);
    let (least, most) = match (least, most) {
        (None, None) => return None,
        (Some(least), Some(most)) => (least, most),
        (Some(least), None) => (least, end(1).unwrap_or(least).max(least)),
        (None, Some(most)) => (end(0).unwrap_or(most).min(most), most),
    };
    Some(json!([number::json_number(least), number::json_number(most)]))
}

/// The items in a text that was typed: its lines without blanks around them, but not the empty ones. A carriage return ends a line in browsers.
pub(super) fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty())
}

/// Parses a number from a field that may be empty.
pub(super) fn optional_number(field: &str, text: &str) -> Result<Option<Number>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("{field} must be a number, not '{text}'"))
}

#[cfg(test)]
mod tests {
    use engine::work::{Field, Kind, Registry};

    use super::*;

    fn color_form() -> Form {
        Registry::default().kind("color").and_then(Kind::form).expect("it has a form")
    }

    fn fields(posted: &[(&str, &str)]) -> HashMap<String, String> {
        posted.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn request_of(posted: &[(&str, &str)]) -> Result<LaunchRequest, Invalid> {
        let mut fields = fields(posted);
        fields.insert("kind".into(), "color".into());
        request(&color_form(), &fields, &Limits::default(), false, None)
    }

    fn parameters_of(posted: &[(&str, &str)]) -> Value {
        Value::Object(request_of(posted).expect("valid").work.parameters)
    }

    #[test]
    fn a_preset_has_a_size_and_the_values_of_empty_fields() {
        let request = request_of(&[("preset", "2")]).expect("valid");
        assert_eq!((request.rows, request.columns), (Some(64.into()), Some(64.into())));
        assert_eq!(parameters_of(&[("preset", "2")]), json!({"duration_ms": [10, 150]}));
        let typed = [("preset", "2"), ("parameters.duration_ms.0", "0.777"), ("parameters.duration_ms.1", "0.888")];
        assert_eq!(parameters_of(&typed), json!({"duration_ms": [777, 888]}));
        for (typed, range) in
            [(("0", "0.02"), [20, 150]), (("0", "1"), [1_000, 1_000]), (("1", "0.1"), [10, 100]), (("1", "0"), [0, 0])]
        {
            let name = format!("parameters.duration_ms.{}", typed.0);
            assert_eq!(parameters_of(&[("preset", "2"), (&name, typed.1)]), json!({"duration_ms": range}), "{typed:?}");
        }
        assert_eq!(request_of(&[("preset", "9")]).expect_err("no such preset").field, "preset");
    }

    #[test]
    fn a_custom_size_has_rows_and_columns() {
        let request = request_of(&[("preset", "custom"), ("rows", "3"), ("columns", "5")]).expect("valid");
        assert_eq!((request.rows, request.columns), (Some(3.into()), Some(5.into())));
        assert!(request.work.parameters.is_empty());
        let refused = request_of(&[("preset", "custom"), ("rows", "3")]).expect_err("no columns");
        assert_eq!(refused, Invalid::new("columns", "Enter a whole number from 1 to 4096."));
    }

    #[test]
    fn limits_are_converted_from_percent_and_seconds() {
        let posted = [
            ("preset", "0"),
            ("title", " Nightly "),
            ("attempts", "2"),
            ("timeout_s", "1.5"),
            ("concurrency", "4"),
            ("tolerated_percent", "7"),
            ("deadline_s", "0.25"),
            ("parameters.failure_rate", "25"),
        ];
        let request = request_of(&posted).expect("valid");
        assert_eq!(request.work.parameters.get("failure_rate"), Some(&json!(0.25)));
        let spec = quilt::BatchSpec::from_request(request, &Limits::default(), 1, None, quilt::Timestamp(0));
        let spec = spec.expect("within the limits");
        assert_eq!((spec.attempts, spec.timeout_ms, spec.concurrency), (2, 1_500, Some(4)));
        assert_eq!((spec.tolerated_failures, spec.deadline_ms), (Some(quilt::Tolerance::Share(0.07)), Some(250)));
        assert_eq!(spec.title.as_deref(), Some("Nightly"));
    }

    #[test]
    fn a_refusal_names_the_field_the_limit_and_the_value() {
        let long = "é".repeat(501);
        for (posted, field, reason) in [
            (("attempts", "21"), "attempts", "Enter a whole number from 1 to 20, not \"21\"."),
            (("timeout_s", "0"), "timeout_s", "Enter a number from 0.001 to 3600, not \"0\"."),
            (("concurrency", "x"), "concurrency", "Enter a whole number from 1 to 65536, not \"x\"."),
            (("tolerated_percent", "101"), "tolerated_percent", "Enter a number from 0 to 100, not \"101\"."),
            (
                ("parameters.failure_rate", "150"),
                "parameters.failure_rate",
                "Enter a number from 0 to 100, not \"150\".",
            ),
            (("title", &long), "title", "Title must have at most 500 characters, not 501."),
        ] {
            assert_eq!(request_of(&[("preset", "0"), posted]), Err(Invalid::new(field, reason)));
        }
        let order = [("preset", "0"), ("parameters.duration_ms.0", "5"), ("parameters.duration_ms.1", "2")];
        let reason = "Shortest task (5 s) must not be longer than Longest task (2 s).";
        assert_eq!(request_of(&order), Err(Invalid::new("parameters.duration_ms.0", reason)));
    }

    #[test]
    fn lines_become_a_list_and_one_is_required() {
        let lines = FieldKind::Lines { example: "", file_label: "" };
        let form = Form {
            counts_tasks: true,
            fields: vec![Field { name: "urls", label: "URLs", kind: lines, is_advanced: false }],
            ..Form::default()
        };
        let request =
            |posted: &[(&str, &str)], has_file| request(&form, &fields(posted), &Limits::default(), has_file, None);
        let listed =
            request(&[("kind", "fetch"), ("parameters.urls", " a \n\n b"), ("rows", "3")], false).expect("valid");
        assert_eq!(listed.work.parameters.get("urls"), Some(&json!(["a", "b"])));
        assert_eq!(listed.rows, None);
        assert_eq!(request(&[("kind", "fetch")], false).expect_err("nothing").field, "parameters.urls");
        assert!(request(&[("kind", "fetch")], true).is_ok());
    }

    #[test]
    fn what_has_no_field_stays_as_it_was() {
        let work = WorkSpec {
            kind: "color".into(),
            parameters: [("panic_rate".to_owned(), json!(0.5)), ("failure_rate".to_owned(), json!(0.5))]
                .into_iter()
                .collect(),
        };
        let base = LaunchRequest {
            priority: Some("low".into()),
            max_failures: Some(7.into()),
            seed: Some(1.into()),
            attempts: Some(9.into()),
            ..LaunchRequest::new(work)
        };
        let posted = fields(&[("kind", "color"), ("rows", "2"), ("columns", "2")]);
        let again = request(&color_form(), &posted, &Limits::default(), false, Some(base)).expect("valid");
        assert_eq!(Value::Object(again.work.parameters), json!({"panic_rate": 0.5}));
        assert_eq!((again.priority.as_deref(), again.max_failures), (Some("low"), Some(7.into())));
        assert_eq!((again.seed, again.attempts), (None, None));
    }
}

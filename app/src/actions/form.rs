//! Parses the posted launch form. Every field is text, and an empty field counts as omitted.

use std::collections::HashMap;

use api::{LaunchRequest, WorkSpec};
use engine::work::{FieldKind, Form};
use serde_json::{Map, Number, Value, json};

/// The prefix of the names of the fields that belong to the kind of work.
pub(crate) const PARAMETER_PREFIX: &str = "parameters.";

/// Converts posted fields into a launch request.
///
/// # Errors
///
/// Returns a sentence about the first field that cannot be parsed.
pub(super) fn request(form: &Form, fields: &HashMap<String, String>) -> Result<LaunchRequest, String> {
    let fields = Fields(fields);
    let (rows, columns) = match fields.text("size") {
        Some("custom") | None => (fields.number("rows", "rows")?, fields.number("columns", "columns")?),
        Some(size) => match size.split_once('x') {
            Some((rows, columns)) => (Some(number("rows", rows)?), Some(number("columns", columns)?)),
            None => return Err(format!("a size is rows x columns, not '{size}'")),
        },
    };
    let mut parameters = Map::new();
    for field in &form.fields {
        let name = format!("{PARAMETER_PREFIX}{}", field.name);
        if let Some(value) = fields.parameter(&name, field.label, &field.kind)? {
            parameters.insert(field.name.into(), value);
        }
    }
    let kind = fields.text("kind").ok_or("kind is missing: the kind of work")?;
    Ok(LaunchRequest {
        rows: rows.map(Into::into),
        columns: columns.map(Into::into),
        attempts: fields.number("attempts", "attempts")?.map(Into::into),
        timeout_ms: fields.number("timeout_ms", "the time limit")?.map(Into::into),
        concurrency: fields.number("concurrency", "the number of tasks at the same time")?.map(Into::into),
        tolerated_failures: fields
            .number("tolerated_percent", "the tolerated failures")?
            .map(|percent| scaled(&percent, 0.01).into()),
        deadline_ms: fields.number("deadline_s", "the deadline")?.map(|seconds| scaled(&seconds, 1_000.0).into()),
        ..LaunchRequest::new(WorkSpec { kind: kind.into(), parameters })
    })
}

struct Fields<'a>(&'a HashMap<String, String>);

impl Fields<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str, label: &str) -> Result<Option<Number>, String> {
        self.0.get(name).map_or(Ok(None), |text| optional_number(label, text))
    }

    fn parameter(&self, name: &str, label: &str, kind: &FieldKind) -> Result<Option<Value>, String> {
        Ok(match kind {
            FieldKind::Number { .. } => self.number(name, label)?.map(Value::Number),
            FieldKind::Percent { .. } => self.number(name, label)?.map(|percent| scaled(&percent, 0.01).into()),
            FieldKind::Range { other_label, .. } => {
                let least = self.number(&format!("{name}.0"), label)?;
                let most = self.number(&format!("{name}.1"), other_label)?;
                let range = least.clone().or(most.clone()).zip(most.or(least));
                range.map(|(least, most)| json!([least, most]))
            }
            FieldKind::Choice(_) | FieldKind::Text { .. } => self.text(name).map(Into::into),
            FieldKind::Lines { .. } => self.text(name).map(|text| {
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                lines.map(Value::from).collect()
            }),
            // A file is not among the text fields.
            FieldKind::File { .. } => None,
        })
    }
}

/// Parses a number from a field that may be empty.
pub(super) fn optional_number(field: &str, text: &str) -> Result<Option<Number>, String> {
    if text.trim().is_empty() { Ok(None) } else { number(field, text).map(Some) }
}

fn number(field: &str, text: &str) -> Result<Number, String> {
    text.trim().parse().map_err(|_| format!("{field} must be a number, not '{}'", text.trim()))
}

/// Converts a number to another unit. The result is an integer if it has no fraction.
pub(super) fn scaled(number: &Number, factor: f64) -> Number {
    let scaled = number.as_f64().unwrap_or_default() * factor;
    let whole = (scaled.fract() == 0.0 && (0.0..9e15).contains(&scaled)).then_some(scaled as u64);
    // A form field cannot hold a number so large that the factor makes it infinite.
    whole.map(Into::into).or_else(|| Number::from_f64(scaled)).unwrap_or_else(|| 0.into())
}

#[cfg(test)]
mod tests {
    use engine::work::Registry;

    use super::*;

    fn request_of(posted: &[(&str, &str)]) -> Result<LaunchRequest, String> {
        let registry = Registry::default();
        let form = registry.kind("color").and_then(engine::work::Kind::form).expect("it has a form");
        let kind = [("kind", "color")];
        let fields = kind.iter().chain(posted).map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        request(&form, &fields)
    }

    #[test]
    fn a_preset_names_rows_and_columns() {
        let request = request_of(&[("size", "32x16")]).expect("valid");
        assert_eq!((request.rows, request.columns), (Some(32.into()), Some(16.into())));
        assert!(request.work.parameters.is_empty());
    }

    #[test]
    fn fields_of_the_kind_become_parameters() {
        let posted = [
            ("size", "8x8"),
            ("parameters.failure_rate", "25"),
            ("parameters.duration_ms.0", ""),
            ("parameters.duration_ms.1", " 40 "),
            ("attempts", "2"),
        ];
        let request = request_of(&posted).expect("valid");
        let parameters = Value::Object(request.work.parameters);
        assert_eq!(parameters, json!({"failure_rate": 0.25, "duration_ms": [40, 40]}));
        assert_eq!(request.attempts, Some(2.into()));
    }

    #[test]
    fn limits_are_converted_from_percent_and_seconds() {
        let posted = [("size", "8x8"), ("concurrency", "4"), ("tolerated_percent", "5"), ("deadline_s", "1.5")];
        let request = request_of(&posted).expect("valid");
        assert_eq!(request.concurrency, Some(4.into()));
        let spec = quilt::BatchSpec::from_request(request, &quilt::Limits::default(), 1, None, quilt::Timestamp(0))
            .expect("within the limits");
        assert_eq!((spec.tolerated_failures, spec.deadline_ms), (Some(quilt::Tolerance::Share(0.05)), Some(1_500)));
    }

    #[test]
    fn text_that_is_no_number_is_named() {
        let refused = request_of(&[("size", "custom"), ("rows", "x"), ("columns", "8")]);
        assert_eq!(refused, Err("rows must be a number, not 'x'".into()));
        assert!(request_of(&[("size", "large")]).expect_err("no size").contains("rows x columns"));
    }

    #[test]
    fn lines_become_a_list() {
        let form = Form {
            title: "",
            about: "",
            presets: Vec::new(),
            draws_presets: false,
            counts_tasks: true,
            fields: vec![engine::work::Field {
                name: "urls",
                label: "Addresses",
                kind: FieldKind::Lines { example: "" },
                is_advanced: false,
            }],
        };
        let fields = [("kind", "fetch"), ("parameters.urls", " a \n\n b")];
        let fields = fields.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let request = request(&form, &fields).expect("valid");
        assert_eq!(request.work.parameters["urls"], json!(["a", "b"]));
        assert_eq!(request.rows, None);
    }
}

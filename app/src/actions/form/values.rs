//! What the fields of a form are filled in with.

use std::collections::HashMap;

use engine::work::{Example, FieldKind, Form};
use quilt::{BatchSpec, Tolerance};
use serde_json::Value;

use super::limits::{self, seconds};
use super::number::{percent, typed};
use super::{PARAMETER_PREFIX, PRESET};

/// Texts by the names of fields. A field without one has its initial value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values(HashMap<String, String>);

impl Values {
    /// The values of an example.
    pub(crate) fn of_example(example: &Example) -> Self {
        let value = |(name, text): &(&str, &str)| (format!("{PARAMETER_PREFIX}{name}"), (*text).to_owned());
        Self(example.values.iter().map(value).collect())
    }

    /// The parameters and limits of a batch. `lines` are its items, if the form has a field for lines.
    pub(crate) fn of_batch(form: &Form, spec: &BatchSpec, lines: Option<&str>) -> Self {
        let mut values = HashMap::new();
        for field in &form.fields {
            let name = format!("{PARAMETER_PREFIX}{}", field.name);
            let value = spec.work.parameters.get(field.name);
            let text = match (&field.kind, value) {
                (FieldKind::Lines { .. }, _) => lines.map(Into::into),
                (FieldKind::Range { unit, .. }, value) => {
                    for place in 0..2 {
                        let end = value.and_then(|range| typed(range.get(place)?, unit.factor.into()));
                        values.insert(format!("{name}.{place}"), end.unwrap_or_default());
                    }
                    continue;
                }
                (FieldKind::Number { unit, .. }, Some(value)) => typed(value, unit.factor.into()),
                (FieldKind::Percent { .. }, value) => Some(percent(value.and_then(Value::as_f64).unwrap_or_default())),
                (FieldKind::Choice(_) | FieldKind::Text { .. }, Some(Value::String(text))) => Some(text.clone()),
                _ => None,
            };
            // An absent parameter is an empty field, and not the initial value.
            values.insert(name, text.unwrap_or_default());
        }
        let tolerated = match spec.tolerated_failures {
            Some(Tolerance::Share(share)) => Some(percent(share)),
            Some(Tolerance::Count(_)) | None => None,
        };
        let limits = [
            ("title", spec.title.as_deref().map(Into::into)),
            ("rows", Some(spec.grid.rows().to_string())),
            ("columns", Some(spec.grid.columns().to_string())),
            (limits::ATTEMPTS, Some(spec.attempts.to_string())),
            (limits::TIMEOUT, Some(seconds(spec.timeout_ms))),
            (limits::CONCURRENCY, spec.concurrency.map(|limit| limit.to_string())),
            (limits::TOLERATED, tolerated),
            (limits::DEADLINE, spec.deadline_ms.map(seconds)),
        ];
        values.extend(limits.map(|(name, text)| (name.to_owned(), text.unwrap_or_default())));
        Self(values)
    }

    /// What was typed into a form.
    pub(crate) fn of_fields(fields: HashMap<String, String>) -> Self {
        Self(fields)
    }

    /// The chosen preset, if the form was posted with one.
    pub(crate) fn preset(&self) -> Option<&str> {
        self.0.get(PRESET).map(String::as_str)
    }

    /// The text of a field, or its initial value.
    pub(crate) fn get(&self, name: &str, initial: &str) -> String {
        self.0.get(name).map_or(initial, String::as_str).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use engine::work::{Kind, Registry};
    use quilt::{Grid, WorkSpec};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_batch_fills_in_what_leads_to_it_again() {
        let registry = Registry::default();
        let form = registry.kind("color").and_then(Kind::form).expect("it has a form");
        let parameters = json!({"failure_rate": 0.07, "duration_ms": [10, 1_500]});
        let parameters = parameters.as_object().expect("an object").clone();
        let mut spec =
            BatchSpec::new(WorkSpec { kind: "color".into(), parameters }, Grid::new(3, 5).expect("small"), 1);
        spec.tolerated_failures = Some(Tolerance::Share(0.29));
        spec.deadline_ms = Some(250);
        spec.title = Some("Nightly".into());
        let values = Values::of_batch(&form, &spec, None);
        for (name, text) in [
            ("parameters.failure_rate", "7"),
            ("parameters.duration_ms.0", "0.01"),
            ("parameters.duration_ms.1", "1.5"),
            ("rows", "3"),
            ("columns", "5"),
            ("attempts", "3"),
            ("timeout_s", "60"),
            ("concurrency", ""),
            ("tolerated_percent", "29"),
            ("deadline_s", "0.25"),
            ("title", "Nightly"),
        ] {
            assert_eq!(values.get(name, "initial"), text, "{name}");
        }
        assert_eq!(values.get("other", "initial"), "initial");
    }
}

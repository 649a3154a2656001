//! Refusals in the words of the form: at which field, and with which label.

use engine::LaunchError;
use engine::work::{FieldKind, Form, InvalidWork};
use quilt::{Limits, SpecError};

use super::{FILE, Invalid, PARAMETER_PREFIX, limit_fields};

/// The field that a refused launch is about, if it is about one.
pub(crate) fn of_launch(form: &Form, limits: &Limits, error: &LaunchError) -> Option<Invalid> {
    match error {
        LaunchError::InvalidWork(InvalidWork::Parameters { reason, .. }) => of_work(form, reason),
        LaunchError::InvalidSpec(error) => of_spec(form, limits, error),
        _ => None,
    }
}

/// The problem of a kind of work. Its sentence begins with the name of a parameter, before a space or a colon, if it is about one.
fn of_work(form: &Form, reason: &str) -> Option<Invalid> {
    let end = reason.find(|character: char| !character.is_ascii_alphanumeric() && character != '_')?;
    let (name, rest) = reason.split_at_checked(end)?;
    let (field, label) = if matches!(name, "rows" | "columns") && !form.counts_tasks {
        (name.to_owned(), name)
    } else {
        let known = |field: &&engine::work::Field| field.name == name;
        let has_file = |field: &engine::work::Field| matches!(field.kind, FieldKind::Lines { .. });
        match form.fields.iter().find(known) {
            Some(field) if matches!(field.kind, FieldKind::File { .. }) => (FILE.to_owned(), field.label),
            Some(field) if matches!(field.kind, FieldKind::Range { .. }) => {
                (format!("{PARAMETER_PREFIX}{name}.0"), field.label)
            }
            Some(field) => (format!("{PARAMETER_PREFIX}{name}"), field.label),
            None if name == FILE && form.fields.iter().any(has_file) => (FILE.to_owned(), "file"),
            None => return None,
        }
    };
    let reason = match rest.strip_prefix(':') {
        Some(rest) => sentence(rest.trim()),
        None => sentence(&format!("{label}{rest}")),
    };
    Some(Invalid { field, reason })
}

fn of_spec(form: &Form, limits: &Limits, error: &SpecError) -> Option<Invalid> {
    let member = match error {
        SpecError::OutOfRange { field, .. }
        | SpecError::NotAShare { field, .. }
        | SpecError::TooLong { field, .. }
        | SpecError::TooManyCharacters { field, .. }
        | SpecError::NotALine { field }
        | SpecError::Missing { field } => *field,
        SpecError::TooManySquares { .. } | SpecError::OtherShape { .. } => "rows",
        _ => return None,
    };
    let field = match member {
        "rows" | "columns" if form.counts_tasks => lines(form)?,
        "rows" | "columns" | "title" => member.to_owned(),
        "the number of tasks" => lines(form)?,
        _ => limit_fields(limits).into_iter().find(|limit| limit.member == member)?.name.to_owned(),
    };
    let reason = match error {
        SpecError::NotALine { .. } => "Enter one line, without control characters.".to_owned(),
        error => sentence(&error.to_string()),
    };
    Some(Invalid { field, reason })
}

/// The field with the tasks of a form whose tasks are lines.
fn lines(form: &Form) -> Option<String> {
    let field = form.fields.iter().find(|field| matches!(field.kind, FieldKind::Lines { .. }))?;
    Some(format!("{PARAMETER_PREFIX}{}", field.name))
}

/// A text that begins with a capital letter and ends with a period.
pub(crate) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", characters.as_str())
}

#[cfg(test)]
mod tests {
    use engine::work::{Field, Unit};

    use super::*;

    fn form() -> Form {
        let field = |name, label, kind| Field { name, label, kind, is_advanced: false };
        let number = FieldKind::Number { unit: Unit::of(""), value: "", empty: "", min: "1", max: "9", step: "1" };
        Form {
            counts_tasks: true,
            fields: vec![
                field("urls", "URLs", FieldKind::Lines { example: "", file_label: "" }),
                field("width", "Output width", number),
            ],
            ..Form::default()
        }
    }

    fn refused(reason: &str) -> Option<(String, String)> {
        let error = InvalidWork::Parameters { kind: "fetch".into(), reason: reason.into() };
        let invalid = of_launch(&form(), &Limits::default(), &error.into())?;
        Some((invalid.field, invalid.reason))
    }

    #[test]
    fn a_sentence_about_a_parameter_is_at_its_field() {
        let invalid = |field: &str, reason: &str| Some((field.to_owned(), reason.to_owned()));
        assert_eq!(
            refused("width must be at most 9, not 10"),
            invalid("parameters.width", "Output width must be at most 9, not 10.")
        );
        assert_eq!(
            refused("urls: line 2: 'x' is not a URL; start it with https://"),
            invalid("parameters.urls", "Line 2: 'x' is not a URL; start it with https://.")
        );
        assert_eq!(refused("file: not text"), invalid("file", "Not text."));
        assert_eq!(refused("the moon is full"), None);
        assert_eq!(refused("rows: too few"), None, "this form has no rows");
        assert_eq!(refused(""), None);
    }

    #[test]
    fn a_limit_of_the_request_is_at_its_field() {
        let of = |error: SpecError| of_launch(&form(), &Limits::default(), &error.into()).map(|invalid| invalid.field);
        let out_of_range = |field| SpecError::OutOfRange { field, value: 0.into(), min: 1, max: 2 };
        assert_eq!(of(out_of_range("timeout_ms")).as_deref(), Some("timeout_s"));
        assert_eq!(of(out_of_range("the number of tasks")).as_deref(), Some("parameters.urls"));
        assert_eq!(of(SpecError::NotALine { field: "title" }).as_deref(), Some("title"));
        assert_eq!(of(SpecError::TooManyLabels(17)), None);
    }
}

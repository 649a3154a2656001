//! What the form is filled in with to run a batch again with changes.

use api::WorkSpec;
use axum::http::StatusCode;
use engine::work::{FieldKind, Form, has_input};
use quilt::BatchId;

use super::form::{Values, lines_of};
use crate::model::ActionError;
use crate::server::{engine, open, refuse, visitor};

/// The longest list that is filled in as text, in bytes. Longer ones are reused as they are, as are lists that lines of text cannot stand for.
const MAX_LINES_BYTES: u64 = 64 << 10;

/// A batch whose form is filled in again.
pub(crate) struct Again {
    pub(crate) id: BatchId,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) values: Values,
    /// The size of the input that is used again unless another one is given, in bytes.
    pub(crate) reused: Option<u64>,
}

/// Reads a batch for its form.
pub(crate) async fn again(id: &str) -> Result<Again, ActionError> {
    let Ok(id) = id.parse::<BatchId>() else { return Err(crate::server::not_found()) };
    let batch = open(id).await?;
    let (name, spec) = {
        let folded = batch.folded();
        (viewer::words::name(&folded.quilt.summary()), folded.quilt.spec().clone())
    };
    let engine = engine();
    let kind = engine.registry().kind(&spec.work.kind);
    let Some((kind, form)) = kind.and_then(|kind| Some((kind, kind.form()?))) else {
        let reason = format!("This server has no form for work of kind \"{}\".", spec.work.kind);
        return Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, reason));
    };
    if let Some(what) = unshowable(&form, &spec.work) {
        let reason = format!("The form cannot show what this batch runs: {what}. Run it again as it is, on its page.");
        return Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, reason));
    }
    let is_own = batch.owner() == visitor()?;
    // The items of a list are on the page of the batch; with other parameters, an image shows more than that page does.
    let is_readable = takes_lines(&form) || is_own;
    let size = if is_readable && has_input(&spec.work) { engine.input_size(id).await? } else { None };
    // Only a list that is filled in is read.
    let lines = match size.filter(|size| takes_lines(&form) && *size <= MAX_LINES_BYTES) {
        Some(_) => {
            let input = engine.input(id).await?;
            kind.items(&spec, input).ok().and_then(|items| as_lines(&items))
        }
        None => None,
    };
    let reused = size.filter(|_| is_own && lines.is_none());
    Ok(Again {
        id,
        name,
        kind: spec.work.kind.clone(),
        values: Values::of_batch(&form, &spec, lines.as_deref()),
        reused,
    })
}

/// Items as the text of a field; `None` if the form would read other items from it.
fn as_lines(items: &[String]) -> Option<String> {
    let text = items.join("\n");
    lines_of(&text).eq(items.iter().map(String::as_str)).then_some(text)
}

/// What of some work the form has no field for, although the work is nothing without it. Posting the form would run something else.
fn unshowable(form: &Form, work: &WorkSpec) -> Option<String> {
    let value = |name: &str| work.parameters.get(name);
    if let Some((name, value)) = form.alternatives.iter().find_map(|name| Some((name, value(name)?))) {
        return Some(format!("{name} is {value}"));
    }
    form.fields.iter().find_map(|field| {
        let FieldKind::Choice(choices) = &field.kind else { return None };
        let chosen = value(field.name)?;
        let is_offered = choices.iter().any(|(offered, _)| chosen.as_str() == Some(offered));
        (!is_offered).then(|| format!("{} {chosen} cannot be chosen on this server", field.label))
    })
}

fn takes_lines(form: &Form) -> bool {
    form.fields.iter().any(|field| matches!(field.kind, FieldKind::Lines { .. }))
}

#[cfg(test)]
mod tests {
    use engine::work::Field;
    use serde_json::json;

    use super::*;

    #[test]
    fn items_become_lines_only_if_none_of_them_changes() {
        let items = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        assert_eq!(as_lines(&items(&["a", "b c"])).as_deref(), Some("a\nb c"));
        for changed in [&["a", ""][..], &["", "a"], &[" a"], &["a\t"], &["a\r"], &["\u{a0}a"], &["a\rb"]] {
            assert_eq!(as_lines(&items(changed)), None, "{changed:?}");
        }
    }

    #[test]
    fn work_that_the_form_cannot_show_is_named() {
        let names = FieldKind::Choice(vec![("resize".into(), "Resize".into())]);
        let form = Form {
            alternatives: &["program"],
            fields: vec![Field { name: "name", label: "Command", kind: names, is_advanced: false }],
            ..Form::default()
        };
        let of = |parameters: serde_json::Value| {
            let parameters = parameters.as_object().expect("an object").clone();
            unshowable(&form, &WorkSpec { kind: "command".into(), parameters })
        };
        assert_eq!(of(json!({"name": "resize"})), None);
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!({"program": "/bin/wc"})).as_deref(), Some(r#"program is "/bin/wc""#));
        let gone = of(json!({"name": "crop"}));
        assert_eq!(gone.as_deref(), Some(r#"Command "crop" cannot be chosen on this server"#));
    }
}

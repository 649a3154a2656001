//! What the form is filled in with to run a batch again with changes.

use engine::work::{FieldKind, Form, has_input};
use quilt::BatchId;

use super::form::Values;
use crate::model::ActionError;
use crate::server::{engine, open, refuse, visitor};

/// The longest list that is filled in as text, in bytes. Longer ones are reused as they are.
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
        return Err(refuse(axum::http::StatusCode::UNPROCESSABLE_ENTITY, reason));
    };
    // The items of a list are on the page of the batch; with other parameters, an image shows more than that page does.
    let is_readable = takes_lines(&form) || batch.owner() == visitor()?;
    let size = if is_readable && has_input(&spec.work) { engine.input_size(id).await? } else { None };
    // Only a list that is filled in is read.
    let lines = match size.filter(|size| takes_lines(&form) && *size <= MAX_LINES_BYTES) {
        Some(_) => {
            let input = engine.input(id).await?;
            kind.items(&spec, input).ok().map(|items| items.join("\n"))
        }
        None => None,
    };
    let is_own = batch.owner() == visitor()?;
    let reused = size.filter(|_| is_own && lines.is_none());
    Ok(Again {
        id,
        name,
        kind: spec.work.kind.clone(),
        values: Values::of_batch(&form, &spec, lines.as_deref()),
        reused,
    })
}

fn takes_lines(form: &Form) -> bool {
    form.fields.iter().any(|field| matches!(field.kind, FieldKind::Lines { .. }))
}

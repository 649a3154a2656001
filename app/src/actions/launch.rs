//! Launches a batch from a posted form.

use std::collections::HashMap;

use api::LaunchRequest;
use axum::http::StatusCode;
use engine::work::{FieldKind, Upload};
use leptos::server_fn::codec::MultipartData;
use multer::Multipart;
use quilt::BatchId;

use super::form::{FROM, Invalid, REUSES_INPUT, of_launch, request, sentence};
use crate::draft::Draft;
use crate::model::ActionError;
use crate::server::{engine, limits, open, refuse, visitor};
use crate::status::set_status;

/// The maximum number of fields in a form.
const MAX_FIELDS: usize = 100;

/// Launches the batch that a posted form describes and returns its id.
pub(crate) async fn launch(form: MultipartData) -> Result<BatchId, ActionError> {
    let form = form.into_inner().ok_or_else(|| malformed("it has no parts"))?;
    let (fields, upload) = read(form).await?;
    Draft::keep(&fields);
    let kind = fields.get("kind").map(String::as_str).unwrap_or_default();
    let engine = engine();
    let form = engine.registry().kind(kind).and_then(|kind| kind.form());
    let form = form.ok_or_else(|| {
        refuse(StatusCode::UNPROCESSABLE_ENTITY, format!("There is no form for work of kind \"{kind}\"."))
    })?;
    let from = fields.get(FROM).and_then(|id| id.parse().ok());
    let base = match from {
        Some(id) => base(id, kind).await?,
        None => None,
    };
    let reused = base.as_ref().filter(|_| upload.is_none() && fields.contains_key(REUSES_INPUT));
    let upload = match reused {
        // Lines that were typed replace those of the input.
        Some(_) if has_lines(&form.fields, &fields) => None,
        Some(Base { id, is_own, .. }) => {
            // With other parameters, an input can show more than the page of its batch does.
            if !is_own {
                let reason = "Only the visitor who launched the batch can use its input again. Choose a file.".into();
                return Err(refuse(StatusCode::FORBIDDEN, reason));
            }
            engine.input(*id).await?.map(|content| Upload { name: None, content })
        }
        None => upload,
    };
    let base = base.map(|base| base.request);
    let request = request(&form, &fields, &limits(), upload.is_some(), base).map_err(invalid)?;
    let id = BatchId::from_bytes(rand::random());
    let launched = engine.launch_request((id, rand::random()), visitor()?, request, upload, &limits()).await;
    launched.map_err(|error| match of_launch(&form, &limits(), &error) {
        Some(refusal) => invalid(refusal),
        None => in_words(error.into()),
    })?;
    Ok(id)
}

/// An earlier batch, which is launched with changes.
struct Base {
    id: BatchId,
    /// Whether this visitor launched it.
    is_own: bool,
    /// The request that leads to it, without its input.
    request: LaunchRequest,
}

/// Reads an earlier batch. `None` if it is of another kind.
async fn base(id: BatchId, kind: &str) -> Result<Option<Base>, ActionError> {
    let visitor = visitor()?;
    let batch = open(id).await?;
    let mut request: LaunchRequest = batch.folded().quilt.spec().clone().into();
    if request.work.kind != kind {
        return Ok(None);
    }
    engine::work::remove_input(&mut request.work);
    Ok(Some(Base { id, is_own: batch.owner() == visitor, request }))
}

fn has_lines(form: &[engine::work::Field], fields: &HashMap<String, String>) -> bool {
    form.iter().filter(|field| matches!(field.kind, FieldKind::Lines { .. })).any(|field| {
        let text = fields.get(&format!("{}{}", super::PARAMETER_PREFIX, field.name));
        text.is_some_and(|text| !text.trim().is_empty())
    })
}

/// A refusal of a field.
fn invalid(Invalid { field, reason }: Invalid) -> ActionError {
    set_status(StatusCode::UNPROCESSABLE_ENTITY);
    ActionError::Invalid(field, reason)
}

/// A refusal that begins like a sentence, as people read it beside the form.
fn in_words(error: ActionError) -> ActionError {
    match error {
        ActionError::Refused(reason) => ActionError::Refused(sentence(&reason)),
        error => error,
    }
}

/// Reads the fields, and the file if one was chosen.
async fn read(mut form: Multipart<'static>) -> Result<(HashMap<String, String>, Option<Upload>), ActionError> {
    let mut fields = HashMap::new();
    let mut upload = None;
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        let name = field.name().unwrap_or_default().to_owned();
        if let Some(file) = field.file_name() {
            let name = Some(file.to_owned());
            // Browsers send an empty file if none was chosen.
            let content = field.bytes().await.map_err(malformed)?;
            upload = (!content.is_empty()).then_some(Upload { name, content });
        } else {
            fields.insert(name, field.text().await.map_err(malformed)?);
        }
        if fields.len() > MAX_FIELDS {
            return Err(malformed(format_args!("it has more than {MAX_FIELDS} fields, which is the limit")));
        }
    }
    Ok((fields, upload))
}

fn malformed(reason: impl std::fmt::Display) -> ActionError {
    refuse(StatusCode::BAD_REQUEST, format!("the form cannot be read: {reason}"))
}

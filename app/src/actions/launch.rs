//! Launches a batch from a posted form.

use std::collections::HashMap;

use axum::http::StatusCode;
use engine::work::Upload;
use leptos::server_fn::codec::MultipartData;
use multer::Multipart;
use quilt::BatchId;

use super::form::request;
use crate::model::ActionError;
use crate::server::{engine, limits, refuse, visitor};

/// The maximum number of fields in a form.
const MAX_FIELDS: usize = 100;

/// Launches the batch that a posted form describes and returns its id.
pub(crate) async fn launch(form: MultipartData) -> Result<BatchId, ActionError> {
    let unprocessable = |reason| refuse(StatusCode::UNPROCESSABLE_ENTITY, reason);
    let form = form.into_inner().ok_or_else(|| malformed("it has no parts"))?;
    let (fields, upload) = read(form).await?;
    let kind = fields.get("kind").map(String::as_str).unwrap_or_default();
    let engine = engine();
    let form = engine.registry().kind(kind).and_then(|kind| kind.form());
    let form = form.ok_or_else(|| unprocessable(format!("there is no form for work of kind '{kind}'")))?;
    let request = request(&form, &fields).map_err(unprocessable)?;
    let id = BatchId::from_bytes(rand::random());
    engine.launch_request((id, rand::random()), visitor()?, request, upload, &limits()).await?;
    Ok(id)
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

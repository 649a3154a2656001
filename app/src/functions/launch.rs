//! Launches a batch.

use leptos::prelude::*;
use leptos::server_fn::codec::{MultipartData, MultipartFormData};

use crate::model::{ActionError, Answer};

/// Launches the batch that a form and its optional file describe, and redirects to the batch's page.
#[server(prefix = "/actions", endpoint = "launch", input = MultipartFormData, output = Answer)]
pub async fn launch(form: MultipartData) -> Result<(), ActionError> {
    let id = crate::actions::launch(form).await?;
    leptos_axum::redirect(&format!("/batches/{id}"));
    Ok(())
}

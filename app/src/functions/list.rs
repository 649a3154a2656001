//! Lists the visitor's batches.

use leptos::prelude::*;

use crate::model::{ActionError, Answer, EncodedView};

/// Returns this visitor's newest batches.
#[server(prefix = "/actions", endpoint = "list", output = Answer)]
pub async fn list_batches() -> Result<Vec<EncodedView>, ActionError> {
    crate::actions::list().await
}

//! Lists and deletes the visitor's batches.

use leptos::prelude::*;

use crate::model::{ActionError, Answer, ListItem};

/// Returns those of this visitor's batches whose ids are named, separated by spaces: the first [`MAX_IDS`](crate::model::MAX_IDS). Missing
/// ones are left out.
#[server(prefix = "/actions", endpoint = "list", output = Answer)]
pub async fn list_batches(ids: String) -> Result<Vec<ListItem>, ActionError> {
    crate::actions::list_named(&ids).await
}

/// Deletes those of this visitor's finished batches whose ids are named, separated by spaces, and redirects to the list, which displays
/// once what was deleted.
#[server(prefix = "/actions", endpoint = "delete", output = Answer)]
pub async fn delete_batches(ids: String) -> Result<(), ActionError> {
    crate::actions::delete(&ids).await?;
    leptos_axum::redirect("/");
    Ok(())
}

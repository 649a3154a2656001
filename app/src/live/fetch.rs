//! Typed requests to this site's own HTTP API.

use gloo_net::http::{Request, Response};
use leptos::prelude::*;
use serde::de::DeserializeOwned;

use crate::model::ActionError;

/// A document of the API that is loaded whenever its path or its version changes. All documents share one type of resource, because each
/// type adds code to the WebAssembly.
#[derive(Clone, Copy)]
pub(crate) struct Document {
    path: Memo<(Option<String>, String)>,
    loaded: LocalResource<(Option<String>, Result<String, ActionError>)>,
}

/// Loads the document at a path, and reloads it when `version` changes. A path of `None` loads nothing.
pub(crate) fn use_document(path: Signal<Option<String>>, version: Signal<String>) -> Document {
    let path = Memo::new(move |_| (path.get(), version.get()));
    let loaded = LocalResource::new(move || {
        let (path, _) = path.get();
        async move {
            let loaded = match &path {
                Some(path) => text(path).await,
                None => Ok(String::new()),
            };
            (path, loaded)
        }
    });
    Document { path, loaded }
}

impl Document {
    /// The document. `None` before the first version at the current path is loaded; while a newer version loads, the previous one is returned.
    pub(crate) fn get<T: DeserializeOwned>(self) -> Option<Result<T, ActionError>> {
        let (path, loaded) = self.loaded.get()?;
        let is_wanted = path.is_some() && self.path.with(|(wanted, _)| *wanted == path);
        is_wanted.then(|| serde_json::from_str(&loaded?).map_err(transport))
    }
}

async fn text(path: &str) -> Result<String, ActionError> {
    get(path).await?.text().await.map_err(transport)
}

/// Requests bytes.
pub(crate) async fn bytes(path: &str) -> Result<Vec<u8>, ActionError> {
    get(path).await?.binary().await.map_err(transport)
}

async fn get(path: &str) -> Result<Response, ActionError> {
    let response = Request::get(path).header("accept", "application/json").send().await.map_err(transport)?;
    match response.status() {
        _ if response.ok() => Ok(response),
        404 => Err(ActionError::NotFound),
        status => Err(match response.json::<api::ProblemDocument>().await {
            Ok(problem) => ActionError::Refused(problem.detail),
            Err(_) => ActionError::Transport(format!("status {status}")),
        }),
    }
}

fn transport(error: impl std::fmt::Display) -> ActionError {
    ActionError::Transport(error.to_string())
}

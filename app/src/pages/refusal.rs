//! Refusals of forms that were posted without JavaScript.

use leptos::prelude::*;
use leptos::server_fn::error::ServerFnUrlError;
use leptos_router::hooks::use_query_map;

use crate::model::ActionError;

/// Returns why a form that was posted without JavaScript was refused. The server redirects to the form's page with the error in the query.
pub(super) fn posted_error() -> Option<ActionError> {
    let query = use_query_map();
    query.with_untracked(|query| query.get_str("__err").map(ServerFnUrlError::<ActionError>::decode_err))
}

/// The same as a sentence.
pub(super) fn posted_refusal() -> Option<String> {
    posted_error().map(|error| error.to_string())
}

//! Refusals of forms that were posted without JavaScript.

use leptos::prelude::*;
use leptos::server_fn::error::ServerFnUrlError;
use leptos_router::hooks::use_query_map;

use crate::model::ActionError;

/// Why the form that was posted from this page, without JavaScript, was refused: the server redirects to it with the reason in the address.
pub(super) fn posted_refusal() -> Option<String> {
    let query = use_query_map();
    query.with_untracked(|query| {
        query.get_str("__err").map(|error| ServerFnUrlError::<ActionError>::decode_err(error).to_string())
    })
}

//! The page for unknown URLs and missing batches.

use leptos::prelude::*;
use leptos_meta::Title;

/// The fallback for unknown URLs, with status 404.
#[component]
pub(super) fn NotFound() -> impl IntoView {
    crate::status::set_status(axum::http::StatusCode::NOT_FOUND);
    view! { <Missing reason="There is no page at this address.".to_string() /> }
}

/// Displays what is missing, with a link to the front page.
#[component]
pub(super) fn Missing(
    /// What is wrong, in a sentence.
    reason: String,
) -> impl IntoView {
    view! {
        <Title text="Not found · Quilt" />
        <section class="missing">
            <div class="missing-square" aria-hidden="true"></div>
            <h1>"A square is missing"</h1>
            <p>{reason}</p>
            <a href="/" class="button">"Go home"</a>
        </section>
    }
}

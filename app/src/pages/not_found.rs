//! What stands where nothing is.

use leptos::prelude::*;
use leptos_meta::Title;

/// For addresses that lead nowhere.
#[component]
pub(super) fn NotFound() -> impl IntoView {
    crate::status::set_status(axum::http::StatusCode::NOT_FOUND);
    view! { <Missing reason="This address leads nowhere.".to_string() /> }
}

/// Says what is missing, and leads home.
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
            <a href="/" class="button">"To the front page"</a>
        </section>
    }
}

//! The header of every page.

use leptos::prelude::*;

use super::docs;

/// The product's name, which links to the front page.
#[component]
pub(crate) fn Header() -> impl IntoView {
    view! {
        <header class="site-header">
            <a href="/" class="wordmark">
                <Patch />
                <span>"Quilt"</span>
            </a>
            <nav class="site-links" aria-label="Site">
                <a href=docs::FIRST>"Docs"</a>
                <a href=docs::API>"API"</a>
            </nav>
        </header>
    }
}

/// The logo: a quilt block.
#[component]
fn Patch() -> impl IntoView {
    view! {
        <svg class="mark" viewBox="0 0 16 16" aria-hidden="true">
            <rect class="mark-a" width="8" height="8" />
            <rect class="mark-b" x="8" width="8" height="8" />
            <rect class="mark-c" y="8" width="8" height="8" />
            <rect class="mark-d" x="8" y="8" width="8" height="8" />
            <path class="mark-e" d="M8 0 16 8 8 16 0 8Z" />
            <path class="mark-f" d="M8 4 12 8 8 12 4 8Z" />
        </svg>
    }
}

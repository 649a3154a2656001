//! What people see: the pages, the channel that keeps them up to date, and the server functions behind their forms.
//!
//! With the feature `ssr` this renders on the server, with `hydrate` it comes to life in the browser.
//!
//! # Layout
//!
//! - [`model`]: what server functions hand to pages
//! - [`actions`]: the server functions
//! - `server` (with `ssr`): what server functions and pages reach on the server
//! - [`channel`]: a batch's events as signals
//! - `pages`, `components`: the views; `squares` and `painter` draw the quilt
//! - `format`: numbers and times for people

pub mod actions;
pub mod channel;
mod components;
mod format;
pub mod model;
mod pages;
mod painter;
#[cfg(feature = "ssr")]
pub mod server;
mod squares;

use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::components::{Route, Router, Routes};
use leptos_router::{SsrMode, path};

use crate::components::header::Header;
use crate::pages::batch::BatchPage;
use crate::pages::home::HomePage;
use crate::pages::not_found::NotFound;

/// The document around every page.
#[cfg(feature = "ssr")]
#[must_use]
pub fn shell(options: LeptosOptions) -> impl IntoView {
    use leptos_meta::MetaTags;

    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <meta name="description" content="Run many independent tasks and watch every one of them finish." />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link rel="stylesheet" href="/pkg/quilt.css" />
                <AutoReload options=options.clone() />
                <HydrationScripts options />
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

/// The whole page, whatever its address.
#[component]
#[must_use]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Title text="Quilt" />
        <Router>
            // Left to the browser, which moves the focus; the router would only scroll.
            <a class="skip-link" href="#main" rel="external">
                "Skip to the content"
            </a>
            <Header />
            <main id="main" tabindex="-1">
                <Routes fallback=NotFound>
                    <Route path=path!("/") view=HomePage ssr=SsrMode::Async />
                    <Route path=path!("/batches/:id") view=BatchPage ssr=SsrMode::Async />
                </Routes>
            </main>
        </Router>
    }
}

//! The pages, one per route, and the document around them. They are rendered only on the server.

#![allow(unreachable_pub, reason = "the component macro makes the types of properties public")]
#![allow(clippy::needless_pass_by_value, reason = "properties are values")]

mod batch;
mod batch_head;
mod batches;
mod delete;
mod docs;
mod fields;
mod footer;
mod header;
mod hero;
mod home;
mod launch_form;
mod not_found;
mod refusal;
mod squares;
mod theme;
mod time;

use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::components::{Route, Router, Routes};
use leptos_router::{SsrMode, path};
use site::Names;

use crate::server::AppContext;
use batch::BatchPage;
use delete::DeletePage;
use docs::DocsPage;
use footer::Footer;
use header::Header;
use home::HomePage;
use not_found::NotFound;

/// The HTML document around every page.
#[must_use]
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let names = use_context::<AppContext>().and_then(|context| context.site);
    let style = names.as_ref().map(|names| view! { <link rel="stylesheet" href=format!("/{}", names.css) /> });
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme::of_request()>
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <meta name="description" content="Run many independent tasks and watch every one of them finish." />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link rel="apple-touch-icon" href="/touch-icon.png" />
                {style}
                <AutoReload options />
                {names.map(|names| view! { <IslandScripts names /> })}
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

/// Loads the script and the WebAssembly module, then hydrates the islands.
///
/// This replaces `HydrationScripts` with `islands=true`, which reads the hashed file names from a file beside the binary, where a binary with
/// an embedded site has none, and puts the nonce into `crossorigin`.
#[component]
fn IslandScripts(names: Names) -> impl IntoView {
    // Content outside of islands is not hydrated, so no data is serialized for it.
    if let Some(context) = Owner::current_shared_context() {
        context.set_is_hydrating(false);
    }
    let (js, wasm) = (format!("/{}", names.js), format!("/{}", names.wasm));
    let script = format!("{}({js:?},{wasm:?})", include_str!("islands.js").trim_end());
    view! {
        <link rel="modulepreload" href=js nonce=use_nonce() />
        <link rel="preload" href=wasm r#as="fetch" r#type="application/wasm" crossorigin="anonymous" />
        <script type="module" nonce=use_nonce()>
            {script}
        </script>
    }
}

/// The page: the header and the route's content.
#[component]
#[must_use]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Title text="Quilt" />
        <Router>
            <a class="skip-link" href="#main">"Skip to the content"</a>
            <Header />
            <main id="main" tabindex="-1">
                <Routes fallback=NotFound>
                    <Route path=path!("/") view=HomePage ssr=SsrMode::Async />
                    <Route path=path!("/delete") view=DeletePage ssr=SsrMode::Async />
                    <Route path=path!("/docs/:name") view=DocsPage />
                    <Route path=path!("/batches/:id") view=BatchPage ssr=SsrMode::Async />
                </Routes>
            </main>
            <Footer />
        </Router>
    }
}

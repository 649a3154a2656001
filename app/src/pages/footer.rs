//! The footer of every page.

use leptos::prelude::*;

use super::docs;
use super::theme::{self, THEMES};
use crate::functions::SetTheme;
use leptos::server_fn::ServerFn;

/// The version, ways to use Quilt without this page, and the choice of a theme.
#[component]
pub(super) fn Footer() -> impl IntoView {
    let chosen = theme::of_request().unwrap_or("system");
    let button = |(theme, label): (&'static str, &'static str)| {
        let pressed = if theme == chosen { "true" } else { "false" };
        view! { <button class="theme" name="theme" value=theme aria-pressed=pressed>{label}</button> }
    };
    view! {
        <footer class="site-footer">
            <p>"Quilt " {env!("CARGO_PKG_VERSION")}</p>
            <p>"In a shell: " <a href=docs::FIRST><code>"quilt run"</code></a></p>
            <p>"In a program: " <a href=docs::API><code>"/api/batches"</code></a></p>
            <form method="post" action=SetTheme::PATH>
                <div class="themes" role="group" aria-label="Theme">{THEMES.map(button).collect_view()}</div>
            </form>
        </footer>
    }
}

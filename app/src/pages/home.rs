//! `/`: an introduction, the launch form, and this visitor's batches.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::launch_form::{LaunchTabs, Launchable};
use super::refusal::posted_refusal;
use crate::islands::BatchList;

/// The kind of work whose form is displayed unless another one is chosen.
const DEFAULT_KIND: &str = "color";

#[component]
pub(super) fn HomePage() -> impl IntoView {
    let engine = crate::server::engine();
    let kinds = engine.registry().kinds();
    let kinds: Vec<Launchable> =
        kinds.filter_map(|kind| Some(Launchable { kind: kind.name(), form: kind.form()? })).collect();
    let chosen = use_query_map().with_untracked(|query| query.get("work"));
    let chosen = chosen.filter(|chosen| kinds.iter().any(|launchable| launchable.kind == chosen));
    let chosen = chosen.unwrap_or_else(|| DEFAULT_KIND.into());
    view! {
        <div class="home">
            <section class="hero">
                <h1>"Many tasks, one quilt."</h1>
                <p class="lead">
                    "Launch a batch of independent tasks, watch every square fill in the moment its task is done, and know, exactly once, when the last one crosses the finish line."
                </p>
            </section>
            <section class="card" aria-label="Launch a batch">
                <LaunchTabs kinds chosen refusal=posted_refusal() />
            </section>
            <section class="batches" aria-labelledby="your-batches">
                <h2 id="your-batches">"Your batches"</h2>
                {Suspend::new(async move {
                    match crate::actions::list().await {
                        Ok(batches) => view! { <BatchList batches /> }.into_any(),
                        Err(error) => view! { <p class="refusal">{error.to_string()}</p> }.into_any(),
                    }
                })}
            </section>
        </div>
    }
}

//! `/`: what this is, the launch form, and this visitor's batches.

use leptos::prelude::*;

use super::posted_refusal;
use crate::components::batch_list::BatchList;
use crate::components::launch_form::LaunchForm;

#[component]
pub(super) fn HomePage() -> impl IntoView {
    view! {
        <div class="home">
            <section class="hero">
                <h1>"Many tasks, one quilt."</h1>
                <p class="lead">
                    "Launch a batch of independent tasks, watch every square fill in the moment its task is done, and know, exactly once, when the last one crosses the finish line."
                </p>
            </section>
            <section class="card" aria-label="Launch a batch">
                <LaunchForm refusal=posted_refusal() />
            </section>
            <BatchList />
        </div>
    }
}

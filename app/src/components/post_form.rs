//! A form that is posted without leaving the page, and as a plain form where there is no JavaScript.

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use quilt::BatchId;

/// The addresses of the server functions.
pub(crate) mod action {
    pub(crate) const CANCEL: &str = "/actions/cancel";
    pub(crate) const LAUNCH: &str = "/actions/launch";
    pub(crate) const REMOVE: &str = "/actions/remove";
    pub(crate) const RETRY_FAILED: &str = "/actions/retry_failed";
    pub(crate) const RUN_AGAIN: &str = "/actions/run_again";
    pub(crate) const SET_CONCURRENCY: &str = "/actions/set_concurrency";
    pub(crate) const SET_PAUSED: &str = "/actions/set_paused";
}

/// What became of a form.
#[derive(Clone, Copy)]
pub(crate) struct Posting {
    /// Whether the server's answer is waited for.
    pub(crate) is_pending: RwSignal<bool>,
    /// Why it was refused, if it was.
    pub(crate) refusal: RwSignal<Option<String>>,
}

impl Posting {
    pub(crate) fn new(refusal: Option<String>) -> Self {
        Self { is_pending: RwSignal::new(false), refusal: RwSignal::new(refusal) }
    }

    /// Posts the form of an event, unless it is on its way already.
    fn submit(self, event: &SubmitEvent) {
        event.prevent_default();
        #[cfg(feature = "hydrate")]
        {
            use wasm_bindgen::JsCast;
            let form = event.target().and_then(|target| target.dyn_into().ok());
            let Some(form) = form.filter(|_| !self.is_pending.get_untracked()) else { return };
            self.is_pending.set(true);
            leptos::task::spawn_local(async move {
                let posted = crate::request::post(&form).await;
                self.is_pending.set(false);
                self.refusal.set(posted.err().map(|error| error.to_string()));
            });
        }
    }
}

/// A form with its fields and buttons as children.
#[component]
pub(crate) fn PostForm(
    /// Where to.
    action: &'static str,
    /// The batch that it is about, if there is one.
    #[prop(default = None)]
    id: Option<BatchId>,
    /// Told what becomes of it.
    posting: Posting,
    #[prop(default = "")] class: &'static str,
    children: Children,
) -> impl IntoView {
    view! {
        <form method="post" action=action class=class on:submit=move |event| posting.submit(&event)>
            {id.map(|id| view! { <input type="hidden" name="id" value=id.to_string() /> })}
            {children()}
        </form>
    }
}

/// The reason why a form was refused, if it was.
#[component]
pub(crate) fn Refusal(
    /// What became of the form.
    posting: Posting,
) -> impl IntoView {
    view! { <p class="refusal" role="alert">{move || posting.refusal.get()}</p> }
}

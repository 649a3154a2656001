//! Forms that send commands. They also work without JavaScript.

use leptos::form::ActionForm;
use leptos::prelude::*;

use crate::command::Command;
use crate::components::shared::{When, flag, on, optional, text};
use crate::live::{Batch, use_batch};

/// A form that sends a command.
#[component]
pub(crate) fn CommandForm(
    /// The command's name.
    #[prop(into)]
    name: Signal<String>,
    /// The fields and the button.
    children: Children,
) -> impl IntoView {
    let batch = use_batch();
    view! {
        <ActionForm action=batch.control>
            <input type="hidden" name="id" value=batch.id.to_string() />
            <input type="hidden" name="command[name]" value=name />
            {children()}
        </ActionForm>
    }
}

/// The submit button of a command form. While a command is pending, or the server cannot be reached, it ignores clicks but keeps the
/// keyboard focus.
#[component]
pub(crate) fn Submit(
    /// The text of the button.
    #[prop(into)]
    label: Signal<String>,
    /// Additional CSS classes.
    #[prop(optional)]
    class: &'static str,
) -> impl IntoView {
    let batch = use_batch();
    let pending = batch.control.pending();
    let is_blocked = flag(move || pending.get() || batch.is_stale());
    let reason = optional(move || batch.is_stale().then(|| "The server cannot be reached. Please wait.".into()));
    view! {
        <button
            type="submit"
            class=format!("button {class}")
            aria-disabled=optional(move || is_blocked.get().then(|| "true".into()))
            title=reason
            on:click=on(move |event: web_sys::MouseEvent| {
                if is_blocked.get_untracked() {
                    event.prevent_default();
                }
            })
        >
            {label}
        </button>
    }
}

/// The part of the page that a command belongs to. Its refusal is displayed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The buttons at the top.
    Tools,
    /// The form with the concurrency limit.
    Concurrency,
    /// The finish banner.
    Banner,
    /// The details of a square.
    Square,
    /// The failures by reason.
    Failures,
}

impl Place {
    fn of(command: &Command) -> Self {
        match command {
            Command::Pause | Command::Resume | Command::Cancel => Self::Tools,
            Command::SetConcurrency(_) => Self::Concurrency,
            Command::RetryFailed | Command::Continue | Command::RunAgain { .. } | Command::Remove => Self::Banner,
            Command::RetrySquare(_) => Self::Square,
            Command::RetryReason { .. } => Self::Failures,
        }
    }
}

/// The place and reason of the last command's refusal, if it was refused.
#[derive(Clone, Copy)]
pub(crate) struct Refusals(Memo<Option<(Place, String)>>);

impl Refusals {
    /// `posted` is the refusal of a form that was posted without JavaScript.
    pub(crate) fn new(batch: Batch, posted: Option<String>) -> Self {
        let (input, value, pending) = (batch.control.input(), batch.control.value(), batch.control.pending());
        // The input exists only while the command is pending.
        let place = Memo::new(move |before: Option<&Place>| {
            let place = input.with(|input| input.as_ref().map(|input| Place::of(&input.command)));
            place.or(before.copied()).unwrap_or(Place::Tools)
        });
        Self(Memo::new(move |_| {
            // This must be read while the input exists, because it is cleared when the value arrives.
            let place = place.get();
            // Clearing the text makes screen readers announce the same refusal again.
            if pending.get() {
                return None;
            }
            match value.get() {
                Some(answer) => answer.err().map(|error| (place, error.to_string())),
                None => posted.clone().map(|reason| (Place::Tools, reason)),
            }
        }))
    }
}

/// Displays and announces a reason, unless it is empty.
#[component]
pub(crate) fn RefusalText(reason: Signal<String>) -> impl IntoView {
    let has_reason = flag(move || reason.with(|reason| !reason.is_empty()));
    view! { <p class="refusal" role="alert"><When condition=has_reason>{reason}</When></p> }
}

/// Displays why a command of this place was refused.
#[component]
pub(crate) fn Refusal(place: Place) -> impl IntoView {
    let Refusals(refusals) = expect_context();
    let reason = text(move || {
        let of_place = |refusal: &Option<(Place, String)>| refusal.clone().filter(|(at, _)| *at == place);
        refusals.with(of_place).map_or(String::new(), |(_, reason)| reason)
    });
    view! { <RefusalText reason /> }
}

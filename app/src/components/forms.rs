//! Forms about a batch. They post without JavaScript as well.

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
    /// Its fields and its button.
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

/// The button of a command's form. While the command is on its way it does nothing, and keeps the keyboard focus.
#[component]
pub(crate) fn Submit(
    /// Its words.
    #[prop(into)]
    label: Signal<String>,
    /// More classes.
    #[prop(optional)]
    class: &'static str,
) -> impl IntoView {
    let pending = use_batch().control.pending();
    view! {
        <button
            type="submit"
            class=format!("button {class}")
            aria-disabled=optional(move || pending.get().then(|| "true".into()))
            on:click=on(move |event: web_sys::MouseEvent| {
                if pending.get_untracked() {
                    event.prevent_default();
                }
            })
        >
            {label}
        </button>
    }
}

/// The part of the page that a command belongs to, and where its refusal is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The buttons at the top.
    Tools,
    /// The limit of tasks at the same time.
    Concurrency,
    /// The finish banner.
    Banner,
    /// The details of a square.
    Square,
}

impl Place {
    fn of(command: &Command) -> Self {
        match command {
            Command::Pause | Command::Resume | Command::Cancel => Self::Tools,
            Command::SetConcurrency(_) => Self::Concurrency,
            Command::RetryFailed | Command::Continue | Command::RunAgain { .. } | Command::Remove => Self::Banner,
            Command::RetrySquare(_) => Self::Square,
        }
    }
}

/// Why the last command was refused, if it was, and where that is shown.
#[derive(Clone, Copy)]
pub(crate) struct Refusals(Memo<Option<(Place, String)>>);

impl Refusals {
    /// `posted` is the refusal of a form that was posted without JavaScript.
    pub(crate) fn new(batch: Batch, posted: Option<String>) -> Self {
        let (input, value, pending) = (batch.control.input(), batch.control.value(), batch.control.pending());
        // The input is there while the command is on its way.
        let place = Memo::new(move |before: Option<&Place>| {
            let place = input.with(|input| input.as_ref().map(|input| Place::of(&input.command)));
            place.or(before.copied()).unwrap_or(Place::Tools)
        });
        Self(Memo::new(move |_| {
            // Read while there is an input, which is gone when there is a value.
            let place = place.get();
            // The same refusal again is announced again.
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

/// Announces a reason, unless it is empty.
#[component]
pub(crate) fn RefusalText(reason: Signal<String>) -> impl IntoView {
    let has_reason = flag(move || reason.with(|reason| !reason.is_empty()));
    view! { <p class="refusal" role="alert"><When condition=has_reason>{reason}</When></p> }
}

/// Shows why a command of this place was refused.
#[component]
pub(crate) fn Refusal(place: Place) -> impl IntoView {
    let Refusals(refusals) = expect_context();
    let reason = text(move || {
        let of_place = |refusal: &Option<(Place, String)>| refusal.clone().filter(|(at, _)| *at == place);
        refusals.with(of_place).map_or(String::new(), |(_, reason)| reason)
    });
    view! { <RefusalText reason /> }
}

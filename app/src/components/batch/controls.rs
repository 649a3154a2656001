//! The owner's controls while the batch runs.

use leptos::prelude::*;
use quilt::Status;
use viewer::format;

use super::confirm::ConfirmedCommand;
use crate::components::forms::{CommandForm, Place, Refusal, Submit};
use crate::components::shared::{When, flag, memo_text, text};
use crate::live::use_batch;

/// The button to pause or resume.
#[component]
pub(crate) fn Controls() -> impl IntoView {
    let batch = use_batch();
    let can_control = flag(move || batch.can_control());
    let is_paused = flag(move || batch.channel.status.get() == Status::Paused);
    // One button with two labels keeps the keyboard focus when it is pressed.
    let choose = move |pause: &'static str, resume: &'static str| {
        text(move || if is_paused.get() { resume } else { pause }.into())
    };
    view! {
        <When condition=can_control>
            <CommandForm name=choose("pause", "resume")>
                <Submit label=choose("Pause", "Resume") />
            </CommandForm>
        </When>
        <Refusal place=Place::Tools />
    }
}

/// The button to cancel, away from the others, so that a batch is not cancelled by a slip.
#[component]
pub(crate) fn CancelControl() -> impl IntoView {
    let batch = use_batch();
    let can_stop = flag(move || batch.can_stop());
    let label = text(move || if batch.is_draining() { "Stop now" } else { "Cancel batch" }.into());
    let question = text(move || {
        let left = format::squares(batch.channel.progress.get().pending());
        format!("Cancel this batch? {left} would not be run. What is done stays, and you can continue later.")
    });
    view! {
        <When condition=can_stop>
            <ConfirmedCommand name="cancel" label question keep="Keep running" />
        </When>
    }
}

/// The form that limits how many tasks run at the same time.
#[component]
pub(crate) fn Concurrency() -> impl IntoView {
    let batch = use_batch();
    let can_control = flag(move || batch.can_control());
    let summary = batch.channel.signals.summary;
    let limit = memo_text(move || summary.get().concurrency.map_or(String::new(), |limit| limit.to_string()));
    view! {
        <div class="concurrency">
            <When condition=can_control>
                <CommandForm name="set-concurrency">
                    <label>
                        <span>"Concurrency limit"</span>
                        // The attribute sets the first value, the property later ones. Typed text stays until the limit changes.
                        <input
                            type="number"
                            inputmode="numeric"
                            name="command[concurrency]"
                            min="1"
                            max="65536"
                            step="1"
                            placeholder="no limit"
                            value=limit.get_untracked()
                            prop:value=limit
                        />
                    </label>
                    <Submit label="Set" />
                </CommandForm>
            </When>
            <Refusal place=Place::Concurrency />
        </div>
    }
}

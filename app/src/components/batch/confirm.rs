//! A command that asks before it is sent.

use leptos::html::Dialog;
use leptos::prelude::*;

use crate::components::forms::{CommandForm, Submit};
use crate::components::shared::on;
use crate::live::keys::open;

/// A button that opens a dialog with a question, whose answer sends the command. Without scripts the button sends it immediately.
#[component]
pub(crate) fn ConfirmedCommand(
    /// The command's name.
    name: &'static str,
    /// The text of the button, also of the one in the dialog.
    #[prop(into)]
    label: Signal<String>,
    /// What the command does, as a question.
    #[prop(into)]
    question: Signal<String>,
    /// The text of the button that closes the dialog.
    keep: &'static str,
) -> impl IntoView {
    let dialog = NodeRef::<Dialog>::new();
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    view! {
        <CommandForm name>
            <button
                type="submit"
                class="button quiet-button"
                aria-haspopup="dialog"
                on:click=on(move |event: web_sys::MouseEvent| {
                    event.prevent_default();
                    open(dialog);
                })
            >
                {label}
            </button>
            <dialog class="dialog" aria-label=question node_ref=dialog>
                <p>{question}</p>
                // Either button closes the dialog. The form is sent all the same.
                <div class="dialog-actions" on:click=on(move |_| close())>
                    <button type="button" class="button">{keep}</button>
                    <Submit class="danger" label />
                </div>
            </dialog>
        </CommandForm>
    }
}

//! The browser's tab: its title and icon show the progress, also while nobody looks; and a notification at the finish line.

use leptos::prelude::*;
use leptos_use_favicon::use_favicon;
use quilt::{Status, Summary};
use viewer::{format, words};
use wasm_bindgen::JsValue;
use web_sys::{Notification, NotificationOptions, NotificationPermission};

use super::context::Batch;
use super::shared::effect;

/// Keeps title and icon up to date, and notifies the visitor of the finish line if that is permitted.
pub(crate) fn use_tab(batch: Batch) {
    let told = batch.channel.told;
    let (_, set_icon) = use_favicon();
    let (mut shown_title, mut shown_icon) = (String::new(), String::new());
    effect(move || {
        let summary = told.summary.get();
        let (title, icon) = (words::title(&summary), icon(&summary));
        if title != shown_title {
            document().set_title(&title);
            shown_title = title;
        }
        if icon != shown_icon {
            set_icon.set(Some(icon.clone()));
            shown_icon = icon;
        }
    });
    effect(move || {
        if told.has_seen_finish.get() {
            let summary = told.summary.get_untracked();
            show_notification(&words::headline(&summary), &format::shape(summary.spec.grid));
        }
    });
}

/// Asks for the permission to notify, and returns what to tell the visitor.
pub(crate) async fn request_permission() -> &'static str {
    if !has_notifications() {
        return "This browser has no notifications.";
    }
    if let Ok(asked) = Notification::request_permission() {
        // The answer is the permission below.
        let _ = wasm_bindgen_futures::JsFuture::from(asked).await;
    }
    match Notification::permission() {
        NotificationPermission::Granted => "You will be notified when the batch is finished.",
        _ => "The browser does not allow notifications from this site.",
    }
}

fn show_notification(headline: &str, body: &str) {
    if has_notifications() && Notification::permission() == NotificationPermission::Granted {
        let options = NotificationOptions::new();
        options.set_body(body);
        // Some browsers leave this to service workers; then there is none.
        let _ = Notification::new_with_options(headline, &options);
    }
}

/// A browser may have no notifications at all.
fn has_notifications() -> bool {
    js_sys::Reflect::has(&window(), &JsValue::from_str("Notification")) == Ok(true)
}

/// A square that fills up, as an address that contains the image.
fn icon(summary: &Summary) -> String {
    let progress = summary.progress;
    let (color, share) = match summary.status {
        Status::Finished if progress.failed == 0 => ("2f8f78", 16),
        Status::Finished => ("c0392b", 16),
        Status::Cancelled => ("777788", 16),
        Status::Running | Status::Paused | Status::Draining => {
            ("d9783b", u64::from(progress.settled()) * 16 / u64::from(progress.tasks.max(1)))
        }
    };
    format!(
        concat!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E",
            "%3Crect width='16' height='16' rx='3' fill='%23d6c6a8'/%3E",
            "%3Crect y='{top}' width='16' height='{share}' rx='3' fill='%23{color}'/%3E%3C/svg%3E"
        ),
        top = 16 - share,
        share = share,
        color = color,
    )
}

//! The browser tab, whose title and icon show the progress, and a notification at the finish line.

use leptos::prelude::*;
use leptos_use_favicon::use_favicon;
use quilt::Summary;
use viewer::{Condition, words};
use wasm_bindgen::JsValue;
use web_sys::{Notification, NotificationOptions, NotificationPermission};

use super::context::Batch;
use super::shared::effect;

/// Updates the title and the icon, and displays a notification at the finish line if the visitor permits it.
pub(crate) fn use_tab(batch: Batch) {
    let signals = batch.channel.signals;
    let (_, set_icon) = use_favicon();
    let (mut shown_title, mut shown_icon) = (String::new(), String::new());
    effect(move || {
        let summary = signals.summary.get();
        let (title, icon) = (words::title(&summary, batch.is_stale()), icon(&summary));
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
        if signals.has_seen_finish.get() {
            let summary = signals.summary.get_untracked();
            show_notification(&words::headline(&summary), &words::name(&summary));
        }
    });
}

/// Requests permission for notifications. Returns the notice to display.
pub(crate) async fn request_permission() -> &'static str {
    if !has_notifications() {
        return "This browser has no notifications.";
    }
    if let Ok(asked) = Notification::request_permission() {
        // The result is read from `Notification::permission` below.
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
        // Fails in browsers that allow notifications only from service workers.
        let _ = Notification::new_with_options(headline, &options);
    }
}

/// Whether the browser supports notifications.
fn has_notifications() -> bool {
    js_sys::Reflect::has(&window(), &JsValue::from_str("Notification")) == Ok(true)
}

/// The icon as a data URL: a square that fills up with the progress.
fn icon(summary: &Summary) -> String {
    let progress = summary.progress;
    let (color, share) = match Condition::of(summary) {
        Condition::Done => ("2f8f78", 16),
        Condition::PartlyFailed | Condition::Incomplete => ("d9a13b", 16),
        Condition::Failed => ("c0392b", 16),
        Condition::Stopped | Condition::Cancelled => ("777788", 16),
        Condition::Running | Condition::Paused | Condition::Stopping => {
            ("3b6ea5", u64::from(progress.settled()) * 16 / u64::from(progress.tasks.max(1)))
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

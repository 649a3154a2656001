//! What the browser's tab shows: how far the batch is, also while nobody looks; and the finish, once.

use leptos::prelude::document;
use quilt::{Status, Summary};
use web_sys::{Notification, NotificationOptions, NotificationPermission, window};

use crate::format;

/// What the tab shows already.
#[derive(Default)]
pub(super) struct Shown {
    title: String,
    icon: String,
}

impl Shown {
    /// Brings title and icon up to the batch.
    pub(super) fn follow(&mut self, summary: &Summary) {
        let title = title(summary);
        if title != self.title {
            document().set_title(&title);
            self.title = title;
        }
        let icon = icon(summary);
        if icon != self.icon
            && let Ok(Some(link)) = document().query_selector("link[rel=icon]")
        {
            // A valid name.
            let _ = link.set_attribute("href", &icon);
            self.icon = icon;
        }
    }
}

/// Tells those who asked for it, and so have permitted it.
pub(super) fn notify(headline: &str, body: &str) {
    if has_notifications() && Notification::permission() == NotificationPermission::Granted {
        let options = NotificationOptions::new();
        options.set_body(body);
        // Some browsers leave this to service workers; then there is none.
        let _ = Notification::new_with_options(headline, &options);
    }
}

/// A browser may have no notifications at all.
pub(super) fn has_notifications() -> bool {
    window().is_some_and(|window| js_sys::Reflect::has(&window, &"Notification".into()) == Ok(true))
}

/// What the tab says.
pub(crate) fn title(summary: &Summary) -> String {
    let shape = format::shape(summary.spec.grid);
    let percent = u64::from(summary.progress.settled()) * 100 / u64::from(summary.progress.tasks.max(1));
    match summary.status {
        Status::Running => format!("{percent}% · {shape} · Quilt"),
        Status::Paused => format!("{percent}% · paused · {shape} · Quilt"),
        Status::Finished => format!("Finished · {shape} · Quilt"),
        Status::Cancelled => format!("Cancelled · {shape} · Quilt"),
    }
}

/// A square that fills up: an address with the picture in it.
fn icon(summary: &Summary) -> String {
    let progress = summary.progress;
    let (color, share) = match summary.status {
        Status::Finished if progress.failed == 0 => ("2f8f78", 16),
        Status::Finished => ("c0392b", 16),
        Status::Cancelled => ("777788", 16),
        Status::Running | Status::Paused => {
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

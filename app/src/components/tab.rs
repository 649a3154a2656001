//! What the browser's tab shows: how far the batch is, also while nobody looks; and the finish, once.

use leptos::prelude::*;
use quilt::{Status, Summary};
use web_sys::{Notification, NotificationOptions, NotificationPermission};

use crate::components::banner::headline;
use crate::components::live_batch::{shape, title};
use crate::components::page::Page;

/// Keeps title and icon up to date, notes when the batch crosses its finish line before the visitor's eyes, and tells the visitor if
/// that was asked for.
pub(crate) fn keep(page: Page) {
    let summary = page.channel.summary;
    let title = Memo::new(move |_| summary.with(title));
    let icon = Memo::new(move |_| summary.with(icon));
    // Effects run in the browser alone; the server has written the title.
    Effect::new(move |_| document().set_title(&title.get()));
    Effect::new(move |_| {
        let icon = icon.get();
        if let Ok(Some(link)) = document().query_selector("link[rel=icon]") {
            // A valid name.
            let _ = link.set_attribute("href", &icon);
        }
    });
    let standing = Memo::new(move |_| summary.with(|summary| (summary.lap, summary.status)));
    Effect::new(move |before: Option<(u32, Status)>| {
        let (lap, status) = standing.get();
        // Over a lap that was running when it was last looked at, here on this page.
        let has_finished = status == Status::Finished
            && before.is_some_and(|(lap_before, before)| !before.is_over() || lap_before < lap);
        page.has_seen_finish.set(has_finished);
        if has_finished {
            notify(&summary.get_untracked());
        }
        (lap, status)
    });
}

/// Only those who asked for it have permitted it.
fn notify(summary: &Summary) {
    // A browser may have no notifications at all.
    let is_known = js_sys::Reflect::has(&window(), &"Notification".into()).unwrap_or_default();
    if is_known && Notification::permission() == NotificationPermission::Granted {
        let options = NotificationOptions::new();
        options.set_body(&shape(summary.spec.grid));
        // Some browsers leave this to their service workers; then there is none.
        let _ = Notification::new_with_options(&headline(summary), &options);
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

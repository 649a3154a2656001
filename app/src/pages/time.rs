//! Moments, as text that scripts replace by the visitor's local time.

use leptos::prelude::*;
use quilt::Timestamp;

/// A moment in UTC. `islands.js` displays it in the visitor's time zone and moves the UTC text into the tooltip.
#[component]
pub(crate) fn Moment(at: Timestamp) -> impl IntoView {
    let datetime = at.to_rfc3339().unwrap_or_default();
    // `2026-09-21T14:13:20.123Z` without the fraction.
    let text = datetime.get(..19).map_or(String::new(), |text| format!("{} UTC", text.replace('T', " ")));
    view! { <time datetime=datetime>{text}</time> }
}

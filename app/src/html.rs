//! Parts of pages that are made as text: the server sends them with the page, and the browser makes them anew when what they tell of changes.

use std::borrow::Cow;

/// A text as it stands in HTML, within an element or within double quotes.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    html_escape::encode_safe(text)
}

/// ` name` if it holds, for attributes that are there or not.
pub(crate) fn attribute_if(holds: bool, name: &'static str) -> &'static str {
    if holds { name } else { "" }
}

/// A part of a whole for a style, such as `12.500%`.
pub(crate) fn percent(part: f64, whole: f64) -> String {
    format!("{:.3}%", if whole > 0.0 { part * 100.0 / whole } else { 0.0 })
}

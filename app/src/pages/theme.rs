//! The theme that the visitor chose.

use axum::http::header::COOKIE;
use axum::http::request::Parts;
use leptos::prelude::*;

use crate::server::THEME_COOKIE;

/// The themes that can be chosen, with their labels. Without a choice the page follows the system.
pub(super) const THEMES: [(&str, &str); 3] = [("system", "System"), ("light", "Light"), ("dark", "Dark")];

/// The chosen theme; `None` to follow the system.
pub(super) fn of_request() -> Option<&'static str> {
    let parts = use_context::<Parts>()?;
    let cookies = parts.headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, chosen) = pairs.find(|(name, _)| *name == THEME_COOKIE)?;
    THEMES.iter().map(|(theme, _)| *theme).find(|theme| *theme == chosen && *theme != "system")
}

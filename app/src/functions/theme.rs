//! Chooses the theme.

use leptos::prelude::*;

use crate::model::{ActionError, Answer};

/// Stores the theme of this visitor's pages for a year: `light`, `dark`, or `system`. A plain form is redirected to the page it came from.
#[server(prefix = "/actions", endpoint = "theme", output = Answer)]
pub async fn set_theme(theme: String) -> Result<(), ActionError> {
    crate::actions::set_theme(&theme)
}

//! The theme that the visitor chose.

use crate::cookies::THEME;

/// The themes that can be chosen, with their labels. Without a choice the page follows the system.
pub(super) const THEMES: [(&str, &str); 3] = [("system", "System"), ("light", "Light"), ("dark", "Dark")];

/// The chosen theme; `None` to follow the system.
pub(super) fn of_request() -> Option<&'static str> {
    let chosen = THEME.get()?;
    THEMES.iter().map(|(theme, _)| *theme).find(|theme| *theme == chosen && *theme != "system")
}

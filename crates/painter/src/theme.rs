//! The colors of the page's theme. They are CSS custom properties, registered with the syntax `<color>`, so that the browser computes them.

use quilt::Color;
use viewer::TaskState;
use web_sys::{CssStyleDeclaration, Element};

/// The colors that a canvas needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// A square without an attempt.
    pub pending: Color,
    /// A square whose last attempt failed.
    pub retrying: Color,
    /// A done square, if the look has no color for it.
    pub done: Color,
    /// A square that failed.
    pub failed: Color,
    /// The mark on a pending square, as CSS.
    pub pending_mark: String,
    /// The mark on a square that is retried, as CSS.
    pub retrying_mark: String,
    /// The cross on a failed square, as CSS.
    pub failed_mark: String,
    /// Rings around squares, as CSS.
    pub ink: String,
    /// The halo below a ring, as CSS.
    pub paper: String,
}

impl Theme {
    /// Reads the theme at an element of the page. Missing properties are black.
    #[must_use]
    pub fn read(element: &Element) -> Self {
        let style = web_sys::window().and_then(|window| window.get_computed_style(element).ok().flatten());
        let style = style.as_ref();
        let color = |name| parse_color(&computed_property(style, name)).unwrap_or(Color::from_rgb(0));
        Self {
            pending: color("--square"),
            retrying: color("--retrying"),
            done: color("--done"),
            failed: color("--failed"),
            pending_mark: computed_property(style, "--square-thread"),
            retrying_mark: computed_property(style, "--retrying-ink"),
            failed_mark: computed_property(style, "--accent-ink"),
            ink: computed_property(style, "--ink"),
            paper: computed_property(style, "--card"),
        }
    }

    /// The color of a state.
    #[must_use]
    pub fn color(&self, state: TaskState) -> Color {
        match state {
            // Squares that were not run look like pending ones, without a mark.
            TaskState::Pending | TaskState::NotRun => self.pending,
            TaskState::Retrying => self.retrying,
            TaskState::Done => self.done,
            TaskState::Failed => self.failed,
        }
    }
}

fn computed_property(style: Option<&CssStyleDeclaration>, name: &str) -> String {
    style.and_then(|style| style.get_property_value(name).ok()).unwrap_or_default().trim().to_owned()
}

/// Parses a computed color: `rgb(1, 2, 3)`, or `#010203` from a browser that does not compute custom properties.
fn parse_color(text: &str) -> Option<Color> {
    if let Some(digits) = text.strip_prefix('#').filter(|digits| digits.len() == 6) {
        return u32::from_str_radix(digits, 16).ok().map(Color::from_rgb);
    }
    let channels = text.strip_prefix("rgb(")?.strip_suffix(')')?;
    let mut channels = channels.split([',', ' ']).filter(|channel| !channel.is_empty()).map(str::parse::<u8>);
    let mut channel = || channels.next()?.ok();
    let (red, green, blue) = (channel()?, channel()?, channel()?);
    Some(Color::from_rgb(u32::from_be_bytes([0, red, green, blue])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_read_as_browsers_compute_them() {
        let color = Some(Color::from_rgb(0x0001_0203));
        for text in ["rgb(1, 2, 3)", "rgb(1 2 3)", "#010203"] {
            assert_eq!(parse_color(text), color, "{text}");
        }
        for text in ["", "red", "rgb(1, 2)", "rgb(1, 2, 300)", "#12", "light-dark(#010203, #040506)"] {
            assert_eq!(parse_color(text), None, "{text}");
        }
    }
}

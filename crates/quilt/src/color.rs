//! The color of a finished square.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A 24-bit color, written as `#` and six uppercase hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Color(u32);

/// A text that is not `#` and six hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a color is '#' and six hexadecimal digits")]
pub struct InvalidColor;

impl Color {
    /// Takes the low 24 bits as `0xRRGGBB`.
    #[must_use]
    pub const fn from_rgb(rgb: u32) -> Self {
        Self(rgb & 0x00FF_FFFF)
    }

    /// The color as `0xRRGGBB`.
    #[must_use]
    pub const fn rgb(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:06X}", self.0)
    }
}

impl FromStr for Color {
    type Err = InvalidColor;

    fn from_str(text: &str) -> Result<Self, InvalidColor> {
        let digits = text.strip_prefix('#').ok_or(InvalidColor)?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidColor);
        }
        u32::from_str_radix(digits, 16).map(Self).map_err(|_| InvalidColor)
    }
}

impl From<Color> for String {
    fn from(color: Color) -> Self {
        color.to_string()
    }
}

impl TryFrom<String> for Color {
    type Error = InvalidColor;

    fn try_from(text: String) -> Result<Self, InvalidColor> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_color_is_written_with_all_six_digits() {
        assert_eq!(Color::from_rgb(0xAB).to_string(), "#0000AB");
        assert_eq!("#0000AB".parse(), Ok(Color::from_rgb(0xAB)));
    }

    #[test]
    fn other_notations_are_refused() {
        for text in ["", "#", "0000AB", "#FFF", "#GGGGGG", "#+12345", "#1234567"] {
            assert_eq!(text.parse::<Color>(), Err(InvalidColor), "{text}");
        }
    }
}

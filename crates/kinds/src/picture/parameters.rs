//! What a launch says about the image that comes out.

use fast_image_resize::{FilterType, ResizeAlg};
use serde::{Deserialize, Serialize};

use super::file::{MAX_PIXELS, MAX_SIDE};

/// How many times larger than the image along each side what comes out may be: beyond that a tile would need much around it.
const MAX_ENLARGED: u32 = 16;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// The width of what comes out, in pixels; that of the image, or what its height says, where it is left out.
    #[serde(default)]
    pub(super) width: Option<u32>,
    /// The height of what comes out, in pixels.
    #[serde(default)]
    pub(super) height: Option<u32>,
    /// How pixels are made out of their neighbors.
    #[serde(default)]
    pub(super) filter: Filter,
    /// What else is done to the colors.
    #[serde(default)]
    pub(super) effect: Effect,
}

impl Parameters {
    /// The size of what comes out. A side that is left out follows from the other one.
    pub(super) fn size(&self, of_width: u32, of_height: u32) -> Result<(u32, u32), String> {
        let (width, height) = (of_width, of_height);
        let scaled = |length: u32, to: u32, from: u32| {
            u32::try_from((u64::from(length) * u64::from(to) + u64::from(from) / 2) / u64::from(from.max(1)))
                .unwrap_or(u32::MAX)
                .max(1)
        };
        let (width, height) = match (self.width, self.height) {
            (None, None) => (width, height),
            (Some(to), None) => (to, scaled(height, to, width)),
            (None, Some(to)) => (scaled(width, to, height), to),
            (Some(width), Some(height)) => (width, height),
        };
        for (name, side, of) in [("width", width, of_width), ("height", height, of_height)] {
            if side > of.saturating_mul(MAX_ENLARGED) {
                return Err(format!(
                    "{name} must not be more than {MAX_ENLARGED} times that of the image, {of}, unlike {side}"
                ));
            }
            if !(1..=MAX_SIDE).contains(&side) {
                return Err(format!("{name} must be a whole number from 1 to {MAX_SIDE}, not {side}"));
            }
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MAX_PIXELS {
            return Err(format!("{width} × {height} are {pixels} pixels; at most {MAX_PIXELS} are allowed"));
        }
        Ok((width, height))
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Filter {
    #[default]
    Lanczos3,
    CatmullRom,
    Mitchell,
    Bilinear,
    Box,
    Nearest,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Effect {
    #[default]
    None,
    Gray,
    Sepia,
    Invert,
}

impl Filter {
    pub(super) fn algorithm(self) -> ResizeAlg {
        match self {
            Self::Lanczos3 => ResizeAlg::Convolution(FilterType::Lanczos3),
            Self::CatmullRom => ResizeAlg::Convolution(FilterType::CatmullRom),
            Self::Mitchell => ResizeAlg::Convolution(FilterType::Mitchell),
            Self::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Self::Box => ResizeAlg::Convolution(FilterType::Box),
            Self::Nearest => ResizeAlg::Nearest,
        }
    }
}

impl Effect {
    pub(super) fn apply(self, [red, green, blue, alpha]: [u8; 4]) -> [u8; 4] {
        let mixed = |parts: [u32; 3]| {
            let [of_red, of_green, of_blue] = parts;
            let sum = u32::from(red) * of_red + u32::from(green) * of_green + u32::from(blue) * of_blue;
            u8::try_from(sum / 1_000).unwrap_or(u8::MAX)
        };
        match self {
            Self::None => [red, green, blue, alpha],
            Self::Gray => {
                let gray = mixed([299, 587, 114]);
                [gray, gray, gray, alpha]
            }
            Self::Sepia => [mixed([393, 769, 189]), mixed([349, 686, 168]), mixed([272, 534, 131]), alpha],
            Self::Invert => [255 - red, 255 - green, 255 - blue, alpha],
        }
    }
}

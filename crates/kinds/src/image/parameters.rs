//! The parameters of the `image` kind.

use fast_image_resize::{FilterType, ResizeAlg};
use serde::{Deserialize, Serialize};

use super::decode::{MAX_PIXELS, MAX_SIDE};

/// The maximum ratio of an output side to the input side. Beyond it, the filter margin of a tile becomes too large.
const MAX_SCALE: u32 = 16;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageParameters {
    /// The output width in pixels. `None` keeps the aspect ratio, or the input size if `height` is `None` as well.
    #[serde(default)]
    pub(super) width: Option<u32>,
    /// The output height in pixels, likewise.
    #[serde(default)]
    pub(super) height: Option<u32>,
    #[serde(default)]
    pub(super) filter: Filter,
    #[serde(default)]
    pub(super) effect: Effect,
}

impl ImageParameters {
    /// Computes the output size from the input size.
    ///
    /// # Errors
    ///
    /// A side or the number of pixels exceeds its limit.
    pub(super) fn output_size(&self, input_width: u32, input_height: u32) -> Result<(u32, u32), String> {
        let scaled = |length: u32, to: u32, from: u32| {
            u32::try_from((u64::from(length) * u64::from(to) + u64::from(from) / 2) / u64::from(from.max(1)))
                .unwrap_or(u32::MAX)
                .max(1)
        };
        let (width, height) = match (self.width, self.height) {
            (None, None) => (input_width, input_height),
            (Some(width), None) => (width, scaled(input_height, width, input_width)),
            (None, Some(height)) => (scaled(input_width, height, input_height), height),
            (Some(width), Some(height)) => (width, height),
        };
        for (name, side, input) in [("width", width, input_width), ("height", height, input_height)] {
            if side > input.saturating_mul(MAX_SCALE) {
                return Err(format!(
                    "{name} must be at most {MAX_SCALE} times that of the image ({input}), not {side}"
                ));
            }
            if !(1..=MAX_SIDE).contains(&side) {
                return Err(format!("{name} must be a whole number from 1 to {MAX_SIDE}, not {side}"));
            }
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MAX_PIXELS {
            return Err(format!(
                "the output has {width} × {height} = {pixels} pixels; at most {MAX_PIXELS} are allowed"
            ));
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
        let mix = |weights: [u32; 3]| {
            let [red_weight, green_weight, blue_weight] = weights;
            let sum = u32::from(red) * red_weight + u32::from(green) * green_weight + u32::from(blue) * blue_weight;
            u8::try_from(sum / 1_000).unwrap_or(u8::MAX)
        };
        match self {
            Self::None => [red, green, blue, alpha],
            Self::Gray => {
                let gray = mix([299, 587, 114]);
                [gray, gray, gray, alpha]
            }
            Self::Sepia => [mix([393, 769, 189]), mix([349, 686, 168]), mix([272, 534, 131]), alpha],
            Self::Invert => [255 - red, 255 - green, 255 - blue, alpha],
        }
    }
}

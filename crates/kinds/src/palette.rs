//! Color palettes for escape times.

use serde::{Deserialize, Serialize};

/// A cyclic color gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Palette {
    /// From night blue over white to gold.
    Dusk,
    /// From black over red to yellow.
    Ember,
    /// From deep sea to foam.
    Ocean,
    /// From indigo over rose to cream.
    Quilt,
    /// Grays.
    Ink,
}

impl Palette {
    /// The values in parameters and their labels.
    pub(crate) const NAMES: [(&'static str, &'static str); 5] =
        [("dusk", "Dusk"), ("ember", "Ember"), ("ocean", "Ocean"), ("quilt", "Quilt"), ("ink", "Ink")];

    /// Evenly spaced gradient stops in linear RGB.
    fn stops(self) -> &'static [[f64; 3]] {
        match self {
            Self::Dusk => {
                &[[0.0, 0.003, 0.05], [0.014, 0.15, 0.6], [0.84, 1.0, 1.0], [1.0, 0.4, 0.0], [0.05, 0.003, 0.01]]
            }
            Self::Ember => &[[0.002, 0.0, 0.0], [0.2, 0.005, 0.003], [0.9, 0.15, 0.004], [1.0, 0.8, 0.25]],
            Self::Ocean => {
                &[[0.001, 0.006, 0.03], [0.003, 0.08, 0.2], [0.02, 0.45, 0.5], [0.7, 0.95, 0.9], [0.05, 0.2, 0.45]]
            }
            Self::Quilt => {
                &[[0.02, 0.01, 0.12], [0.35, 0.03, 0.25], [0.9, 0.25, 0.2], [1.0, 0.85, 0.6], [0.1, 0.35, 0.4]]
            }
            Self::Ink => &[[0.003, 0.003, 0.004], [0.9, 0.9, 0.88]],
        }
    }

    /// Returns the color at a phase in linear RGB. The period is 1.
    pub(crate) fn at(self, phase: f64) -> [f64; 3] {
        let stops = self.stops();
        let position = phase.rem_euclid(1.0) * stops.len() as f64;
        let first = (position as usize).min(stops.len() - 1);
        // Smoothstep: the slope is 0 at each stop.
        let weight = position - first as f64;
        let weight = weight * weight * (3.0 - 2.0 * weight);
        let (from, to) = (stops.get(first), stops.get((first + 1) % stops.len()));
        let (Some(from), Some(to)) = (from, to) else { return [0.0; 3] };
        std::array::from_fn(|channel| {
            let (from, to) = (from.get(channel), to.get(channel));
            from.zip(to).map_or(0.0, |(from, to)| from + (to - from) * weight)
        })
    }
}

/// Converts linear RGB to sRGB, as `0xRRGGBB`.
pub(crate) fn encode(linear: [f64; 3]) -> u32 {
    linear.into_iter().fold(0, |rgb, channel| {
        let channel = channel.clamp(0.0, 1.0);
        let encoded = if channel <= 0.003_130_8 { channel * 12.92 } else { 1.055 * channel.powf(1.0 / 2.4) - 0.055 };
        rgb << 8 | (encoded * 255.0).round() as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palettes_are_continuous_and_periodic() {
        for palette in [Palette::Dusk, Palette::Ember, Palette::Ocean, Palette::Quilt, Palette::Ink] {
            for step in 0..2_000 {
                let (here, next) = (palette.at(f64::from(step) / 1_000.0), palette.at(f64::from(step + 1) / 1_000.0));
                let jump = here.iter().zip(next).map(|(here, next)| (here - next).abs()).fold(0.0, f64::max);
                assert!(jump < 0.02, "{palette:?} {step}");
            }
            assert_eq!(palette.at(0.25), palette.at(3.25));
            assert_eq!(palette.at(0.25), palette.at(-0.75));
        }
    }

    #[test]
    fn encode_is_exact_for_black_and_white_and_clamps() {
        assert_eq!(encode([0.0; 3]), 0);
        assert_eq!(encode([1.0, 1.0, 1.0]), 0xFF_FFFF);
        assert_eq!(encode([2.0, -1.0, 0.0]), 0xFF_0000);
    }
}

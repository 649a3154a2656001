//! Predefined views.

use super::fractal::Fractal;
use crate::palette::Palette;

/// A region with the parameters that suit it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// The suggested number of rows and columns.
    pub(super) side: u16,
    pub(super) fractal: Fractal,
    pub(super) constant: [f64; 2],
    pub(super) center: [f64; 2],
    pub(super) zoom: f64,
    pub(super) iterations: u32,
    pub(super) palette: Palette,
    pub(super) samples: u32,
}

impl View {
    pub(super) const WHOLE: Self = Self {
        name: "whole",
        title: "The whole set",
        side: 256,
        fractal: Fractal::Mandelbrot,
        constant: [0.0, 0.0],
        center: [-0.65, 0.0],
        zoom: 1.0,
        iterations: 500,
        palette: Palette::Dusk,
        samples: 3,
    };
}

const SEAHORSE: View = View {
    name: "seahorse",
    title: "Seahorse valley",
    center: [-0.745_3, 0.112_7],
    zoom: 460.0,
    iterations: 2_000,
    ..View::WHOLE
};

pub(super) const VIEWS: [View; 9] = [
    SEAHORSE,
    View {
        name: "satellite",
        title: "A satellite",
        center: [-0.743_643_135, 0.131_825_963],
        zoom: 205_000.0,
        iterations: 4_000,
        ..View::WHOLE
    },
    View {
        name: "elephant",
        title: "Elephant valley",
        center: [0.292_575_5, -0.014_997_7],
        zoom: 970.0,
        iterations: 2_000,
        palette: Palette::Quilt,
        ..View::WHOLE
    },
    View {
        name: "spirals",
        title: "Spirals",
        center: [-1.250_66, 0.020_12],
        zoom: 17_600.0,
        iterations: 3_000,
        palette: Palette::Ember,
        ..View::WHOLE
    },
    View {
        name: "island",
        title: "An island",
        center: [-0.159_2, -1.031_7],
        zoom: 200.0,
        iterations: 1_500,
        palette: Palette::Ocean,
        ..View::WHOLE
    },
    View::WHOLE,
    View {
        name: "rabbit",
        title: "Rabbit (Julia)",
        fractal: Fractal::Julia,
        constant: [-0.123, 0.745],
        center: [0.0, 0.0],
        iterations: 800,
        palette: Palette::Quilt,
        ..View::WHOLE
    },
    View {
        name: "dragon",
        title: "Dragon (Julia)",
        fractal: Fractal::Julia,
        constant: [-0.8, 0.156],
        center: [0.0, 0.0],
        iterations: 1_000,
        palette: Palette::Ember,
        ..View::WHOLE
    },
    View { name: "seahorse-large", title: "Seahorse valley, large", side: 1_024, samples: 2, ..SEAHORSE },
];

/// Returns the suggested number of rows and columns of a preset.
#[must_use]
pub fn preset_side(name: &str) -> Option<u16> {
    VIEWS.iter().find(|view| view.name == name).map(|view| view.side)
}

//! The sets, and how long points take to leave them.

use serde::{Deserialize, Serialize};

/// Beyond this distance, squared, a point has escaped. Far out, so that the colors are smooth.
const ESCAPE: f64 = 1e6;

/// A set that is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fractal {
    Mandelbrot,
    Julia,
}

impl Fractal {
    /// How long a point takes to escape, with the fraction that makes neighbors differ smoothly; `None` where it is caught. With it, how
    /// many steps were made. The constant is that of a Julia set.
    pub(super) fn escape(self, point: [f64; 2], constant: [f64; 2], iterations: u32) -> (Option<f64>, u32) {
        let [px, py] = point;
        let (mut x, mut y, [cx, cy]) = match self {
            // The two largest parts of the set, which would take longest.
            Self::Mandelbrot if is_in_main_parts(px, py) => return (None, 1),
            Self::Mandelbrot => (0.0, 0.0, point),
            Self::Julia => (px, py, constant),
        };
        let (mut old_x, mut old_y, mut period, mut next_look) = (x, y, 0_u32, 8_u32);
        for step in 0..iterations {
            let (xx, yy) = (x * x, y * y);
            if xx + yy > ESCAPE {
                let smooth = f64::from(step) + 1.0 - ((xx + yy).ln() / 2.0 / std::f64::consts::LN_2).log2();
                return (Some(smooth.max(0.0)), step + 1);
            }
            y = 2.0 * x * y + cy;
            x = xx - yy + cx;
            // A point that comes back to where it was goes round for ever.
            if x == old_x && y == old_y {
                return (None, step + 1);
            }
            period += 1;
            if period == next_look {
                (old_x, old_y, period) = (x, y, 0);
                next_look = next_look.saturating_mul(2);
            }
        }
        (None, iterations)
    }
}

fn is_in_main_parts(x: f64, y: f64) -> bool {
    let yy = y * y;
    let q = (x - 0.25) * (x - 0.25) + yy;
    q * (q + (x - 0.25)) <= 0.25 * yy || (x + 1.0) * (x + 1.0) + yy <= 0.0625
}

//! Escape times of Mandelbrot and Julia sets.

use serde::{Deserialize, Serialize};

/// The square of the escape radius. A large radius makes the smooth escape time more accurate.
const ESCAPE_RADIUS_SQUARED: f64 = 1e6;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fractal {
    Mandelbrot,
    Julia,
}

impl Fractal {
    /// Returns the smooth (fractional) escape time, `None` for points in the set, and the number of iterations computed. `constant` applies
    /// to Julia sets.
    pub(super) fn escape(self, point: [f64; 2], constant: [f64; 2], iterations: u32) -> (Option<f64>, u32) {
        let [px, py] = point;
        let (mut x, mut y, [cx, cy]) = match self {
            // Points in the two largest components would need all iterations.
            Self::Mandelbrot if is_in_cardioid_or_disk(px, py) => return (None, 1),
            Self::Mandelbrot => (0.0, 0.0, point),
            Self::Julia => (px, py, constant),
        };
        let (mut old_x, mut old_y, mut period, mut next_check) = (x, y, 0_u32, 8_u32);
        for step in 0..iterations {
            let (xx, yy) = (x * x, y * y);
            if xx + yy > ESCAPE_RADIUS_SQUARED {
                let smooth = f64::from(step) + 1.0 - ((xx + yy).ln() / 2.0 / std::f64::consts::LN_2).log2();
                return (Some(smooth.max(0.0)), step + 1);
            }
            y = 2.0 * x * y + cy;
            x = xx - yy + cx;
            // A periodic orbit never escapes (Brent's cycle detection).
            if x == old_x && y == old_y {
                return (None, step + 1);
            }
            period += 1;
            if period == next_check {
                (old_x, old_y, period) = (x, y, 0);
                next_check = next_check.saturating_mul(2);
            }
        }
        (None, iterations)
    }
}

fn is_in_cardioid_or_disk(x: f64, y: f64) -> bool {
    let yy = y * y;
    let q = (x - 0.25) * (x - 0.25) + yy;
    q * (q + (x - 0.25)) <= 0.25 * yy || (x + 1.0) * (x + 1.0) + yy <= 0.0625
}

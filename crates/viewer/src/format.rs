//! Numbers and times for people.

use quilt::Grid;
use quilt::number::{decimal, grouped};

/// `1234567` as `1,234,567`.
#[must_use]
pub fn count(value: impl Into<u64>) -> String {
    grouped(value.into())
}

/// Rows and columns.
#[must_use]
pub fn shape(grid: Grid) -> String {
    format!("{} × {}", grid.rows(), grid.columns())
}

/// `1 square`, `2 squares`.
#[must_use]
pub fn squares(value: u32) -> String {
    format!("{} {}", count(value), if value == 1 { "square" } else { "squares" })
}

/// A number of bytes in a unit that suits it.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{} bytes", count(bytes)),
        10_240..1_048_576 => format!("{} KiB", count(bytes >> 10)),
        _ => format!("{} MiB", count(bytes >> 20)),
    }
}

/// A duration in its one or two most significant units.
#[must_use]
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{}.{} s", seconds, millis % 1_000 / 100),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// A range of durations, in whole units of the longer one.
#[must_use]
pub fn range(shorter: u64, longer: u64) -> String {
    let (unit, name) = match longer {
        0..1_000 => (1, "ms"),
        1_000..90_000 => (1_000, "s"),
        90_000..5_400_000 => (60_000, "min"),
        _ => (3_600_000, "h"),
    };
    let (least, most) = (shorter / unit, longer.div_ceil(unit));
    if least == most { format!("{most} {name}") } else { format!("{least}–{most} {name}") }
}

/// Tasks per second, with a precision that depends on the rate.
#[must_use]
pub fn rate(per_second: f64) -> String {
    if per_second < 10.0 { decimal(per_second, 1) + "/s" } else { format!("{}/s", count(per_second.round() as u32)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!([0_u32, 999, 1_000, 1_048_576].map(count), ["0", "999", "1,000", "1,048,576"]);
        assert_eq!(squares(1), "1 square");
    }

    #[test]
    fn sizes_have_a_unit_that_suits_them() {
        assert_eq!([900, 20_480, 1_048_576, 33_554_432].map(size), ["900 bytes", "20 KiB", "1 MiB", "32 MiB"]);
    }

    #[test]
    fn durations_have_the_units_that_matter() {
        assert_eq!(
            [7, 1_240, 59_999, 61_000, 3_725_000].map(duration),
            ["7 ms", "1.2 s", "59.9 s", "1 min 1 s", "1 h 2 min"]
        );
    }

    #[test]
    fn ranges_have_one_unit() {
        let ranges = [(20, 300), (1_500, 4_100), (4_000, 4_000), (80_000, 200_000), (3_000_000, 9_000_000)];
        let told = ranges.map(|(shorter, longer)| range(shorter, longer));
        assert_eq!(told, ["20–300 ms", "1–5 s", "4 s", "1–4 min", "0–3 h"]);
    }

    #[test]
    fn small_rates_keep_a_digit() {
        assert_eq!([0.25, 9.96, 1234.5].map(rate), ["0.2/s", "10.0/s", "1,235/s"]);
    }
}

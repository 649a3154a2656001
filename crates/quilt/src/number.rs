//! Numbers as text.

/// A whole number with its digits in groups of three: `1,048,576`.
#[must_use]
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A decimal number with up to six digits after the point, such as `-0.25`; 0 if it is not finite. Halves are rounded to an even digit, as
/// by the standard library.
///
/// The browser formats with this, because the standard library's formatting of floating point numbers would be 7 kB of its download.
#[must_use]
pub fn decimal(value: f64, digits: u32) -> String {
    let unit = 10_u64.pow(digits.min(6));
    // Not a number becomes 0, and values out of range the nearest ones.
    let scaled = if value.is_finite() { (value.abs() * unit as f64).round_ties_even() as u64 } else { 0 };
    let sign = if value < 0.0 && scaled > 0 { "-" } else { "" };
    let (whole, part) = (scaled / unit, scaled % unit);
    if digits == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{part:0width$}", width = digits.min(6) as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decimal, grouped};

    #[test]
    fn what_is_not_a_number_or_too_large_is_a_number() {
        assert_eq!(
            [f64::NAN, f64::INFINITY, -0.0, 0.06, -0.04].map(|value| decimal(value, 1)),
            ["0.0", "0.0", "0.0", "0.1", "0.0"]
        );
        assert_eq!([2.5, 3.5].map(|value| decimal(value, 0)), ["2", "4"]);
        assert_eq!(decimal(1e300, 2), "184467440737095516.15");
    }

    proptest! {
        #[test]
        fn a_decimal_is_read_as_nearly_the_same_number(value in -1e6..1e6, digits in 0_u32..7) {
            let read: f64 = decimal(value, digits).parse().expect("a number");
            prop_assert!((read - value).abs() <= 0.500_001 / 10_f64.powi(digits as i32), "{value} {digits} {read}");
        }
    }

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!([0, 999, 1_000, 1_048_576].map(grouped), ["0", "999", "1,000", "1,048,576"]);
    }
}

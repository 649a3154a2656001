//! Numbers as people type them, and their conversion to the units of parameters.

use serde_json::{Number, Value};

/// Up to this value every whole number has an exact `f64`.
const MAX_EXACT: f64 = 9e15;

/// A number field: what may be typed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NumberRule {
    /// The least and the most.
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Whether it has to be a whole number.
    pub(crate) is_whole: bool,
}

impl NumberRule {
    /// The rule of an input with these attributes.
    pub(crate) fn of_attributes(min: &str, max: &str, step: &str) -> Self {
        let number = |text: &str, otherwise: f64| text.parse().unwrap_or(otherwise);
        Self { min: number(min, f64::NEG_INFINITY), max: number(max, f64::INFINITY), is_whole: step == "1" }
    }

    /// The rule in words, without a period. The field's label and unit are beside it.
    pub(crate) fn sentence(self) -> String {
        let whole = if self.is_whole { "whole " } else { "" };
        format!("Enter a {whole}number from {} to {}", plain(self.min), plain(self.max))
    }

    /// Parses a number that follows the rule.
    ///
    /// # Errors
    ///
    /// The rule and the value, in a sentence.
    pub(super) fn parse(self, text: &str) -> Result<Number, String> {
        let refused = || format!("{}, not \"{text}\".", self.sentence());
        let value = text.parse::<Number>().ok().and_then(|number| number.as_f64());
        let is_allowed =
            |value: &f64| (self.min..=self.max).contains(value) && (!self.is_whole || value.fract() == 0.0);
        value.filter(is_allowed).map(json_number).ok_or_else(refused)
    }
}

/// Multiplies a number by the factor of its unit. The result is whole if the factor is not 1, and if it has no fraction.
pub(in crate::actions) fn to_parameter(number: &Number, factor: u32) -> Number {
    let value = number.as_f64().unwrap_or_default();
    if factor == 1 { json_number(value) } else { json_number((value * f64::from(factor)).round()) }
}

/// A percentage as a share. Dividing gives the share that is written with the same digits.
pub(super) fn to_share(percent: &Number) -> Number {
    json_number(percent.as_f64().unwrap_or_default() / 100.0)
}

/// A number that is an integer in JSON if it has no fraction.
pub(super) fn json_number(value: f64) -> Number {
    if value.fract() == 0.0 && (0.0..MAX_EXACT).contains(&value) {
        return (value as u64).into();
    }
    Number::from_f64(value).unwrap_or_else(|| 0.into())
}

/// A parameter as it is typed in a unit with this factor; `None` if it is no number.
pub(super) fn typed(parameter: &Value, factor: f64) -> Option<String> {
    parameter.as_f64().map(|value| plain(value / factor))
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    // Removes what the multiplication adds in the last digits.
    plain((share * 100.0 * 1e9).round() / 1e9)
}

/// A number without needless digits; large and tiny ones with an exponent.
pub(crate) fn plain(value: f64) -> String {
    if value != 0.0 && !(1e-6..1e9).contains(&value.abs()) { format!("{value:e}") } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().expect("a number")
    }

    #[test]
    fn units_are_converted_without_leftovers() {
        for (typed, factor, parameter) in [
            ("1.001", 1_000, "1001"),
            ("0.29", 1_000, "290"),
            ("2.5", 1 << 20, "2621440"),
            ("7", 1, "7"),
            ("0.5", 1, "0.5"),
        ] {
            assert_eq!(to_parameter(&number(typed), factor).to_string(), parameter, "{typed}");
        }
        for (typed, share) in [("7", "0.07"), ("33", "0.33"), ("100", "1"), ("0", "0"), ("12.5", "0.125")] {
            assert_eq!(to_share(&number(typed)).to_string(), share, "{typed}");
        }
    }

    #[test]
    fn parameters_are_shown_as_they_were_typed() {
        assert_eq!([0.07, 0.29, 1.0, 0.125].map(percent), ["7", "29", "100", "12.5"]);
        assert_eq!(typed(&1_500.into(), 1_000.0).as_deref(), Some("1.5"));
        assert_eq!(typed(&2_097_152.into(), 1_048_576.0).as_deref(), Some("2"));
        assert_eq!(typed(&Value::Null, 1.0), None);
        assert_eq!([1e13, 205_000.0, 0.0, 0.01].map(plain), ["1e13", "205000", "0", "0.01"]);
    }

    #[test]
    fn rules_name_the_limits_and_the_value() {
        let rule = NumberRule::of_attributes("1", "20", "1");
        assert_eq!(rule.parse("20"), Ok(20.into()));
        for text in ["21", "1.5", "x", "-1"] {
            assert_eq!(rule.parse(text), Err(format!("Enter a whole number from 1 to 20, not \"{text}\".")));
        }
        let rule = NumberRule::of_attributes("0.001", "3600", "any");
        assert_eq!(rule.sentence(), "Enter a number from 0.001 to 3600");
        assert_eq!(rule.parse("0.5").map(|number| number.to_string()), Ok("0.5".into()));
    }
}

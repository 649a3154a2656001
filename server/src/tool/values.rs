//! Parsers for structured option values.

use std::time::Duration;

use ::api::Square;
use quilt::{Halt, Timestamp, Tolerance};

/// When a batch stops because tasks fail, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct HaltRule {
    pub(crate) how: Halt,
    pub(crate) tolerance: Tolerance,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let expected = || format!("'{text}' is no time such as 500ms, 30s, 5m or 2h");
    let number: f64 = number.parse().map_err(|_| expected())?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(expected()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| expected())
}

/// Parses a point in time: RFC 3339, or a duration from now.
pub(super) fn start(text: &str) -> Result<Timestamp, String> {
    let from_now = || {
        let millis = u64::try_from(duration(text).ok()?.as_millis()).ok()?;
        Some(engine::now().plus_millis(millis)).filter(|at| at.to_rfc3339().is_some())
    };
    Timestamp::from_rfc3339(text).or_else(from_now).ok_or_else(|| {
        format!("'{text}' is neither a point in time such as 2026-09-21T14:13:20Z nor a time from now such as 10m")
    })
}

pub(super) fn halt(text: &str) -> Result<HaltRule, String> {
    let expected =
        || format!("'{text}' is neither a number of failures from 1 nor a share from 0% to 100%, such as soon,fail=3");
    let (how, rest) = match text.split_once(',') {
        Some(("now", rest)) => (Halt::Now, rest),
        Some(("soon", rest)) => (Halt::Soon, rest),
        Some(_) => return Err(expected()),
        None => (Halt::Now, text),
    };
    let failures = rest.strip_prefix("fail=").unwrap_or(rest).trim();
    let tolerance = match failures.strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.trim().parse().map_err(|_| expected())?;
            if !(0.0..=100.0).contains(&percent) {
                return Err(expected());
            }
            Tolerance::Share(percent / 100.0)
        }
        // The batch stops at this failure, so it tolerates one less.
        None => {
            Tolerance::Count(failures.parse::<u32>().ok().and_then(|count| count.checked_sub(1)).ok_or_else(expected)?)
        }
    };
    Ok(HaltRule { how, tolerance })
}

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("'{text}' is no label such as team=web"))?;
    Ok((name.into(), value.into()))
}

pub(super) fn square(text: &str) -> Result<Square, String> {
    let parse = |number: &str| number.trim().parse().ok();
    let place = text.split_once(',').and_then(|(row, column)| parse(row).zip(parse(column)));
    let (row, column) = place.ok_or_else(|| format!("'{text}' is no square such as 0,7"))?;
    Ok(Square { row, column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_shares_have_units() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7_200)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for text in ["", "s", "1d", "-1s", "1e9h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_start_is_a_point_in_time_or_a_time_from_now() {
        assert_eq!(start("2026-09-21T16:13:20.123+02:00"), Ok(Timestamp(1_790_000_000_123)));
        let before = engine::now();
        let at = start("10m").expect("a time from now");
        assert!((before.plus_millis(600_000)..=engine::now().plus_millis(600_000)).contains(&at), "{at:?}");
        for text in ["", "tomorrow", "2026-09-21", "2026-09-21T16:13:20", "-1s", "99999999h"] {
            assert!(start(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_batch_halts_now_or_soon_at_a_number_of_failures_or_a_share() {
        for (text, how, tolerance) in [
            ("10%", Halt::Now, Tolerance::Share(0.1)),
            ("0%", Halt::Now, Tolerance::Share(0.0)),
            ("soon,fail=100%", Halt::Soon, Tolerance::Share(1.0)),
            ("1", Halt::Now, Tolerance::Count(0)),
            ("now,fail=1", Halt::Now, Tolerance::Count(0)),
            ("soon,fail=3", Halt::Soon, Tolerance::Count(2)),
        ] {
            assert_eq!(halt(text), Ok(HaltRule { how, tolerance }), "{text}");
        }
        for text in ["", "0", "101%", "few", "later,fail=3", "soon", "-1"] {
            assert!(halt(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_and_squares_have_two_parts() {
        assert_eq!(label("team=web=1"), Ok(("team".into(), "web=1".into())));
        assert_eq!(square("0,7"), Ok(Square { row: 0, column: 7 }));
        assert!(label("team").is_err() && square("7").is_err() && square("a,b").is_err());
    }
}

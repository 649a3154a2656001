//! The stored form of specs, and rejected specs.

#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

use quilt::{BatchSpec, Limits, Timestamp};

const NOW: Timestamp = Timestamp(1_790_000_000_123);

fn spec_of(json: &str) -> Result<BatchSpec, String> {
    let request = serde_json::from_str(json).map_err(|error| error.to_string())?;
    BatchSpec::from_request(request, &Limits::default(), 7, None, NOW).map_err(|error| error.to_string())
}

#[test]
fn a_priority_and_a_start_are_stored_only_if_they_are_given() {
    let members = r#""work": {"kind": "color"}, "rows": 2, "columns": 3"#;
    let bytes = |members: &str| serde_json::to_string(&spec_of(members).expect("valid")).expect("plain");
    let without = bytes(&format!("{{{members}}}"));
    let plain = r#"{"work":{"kind":"color"},"rows":2,"columns":3,"seed":7,"attempts":3,"timeout_ms":60000}"#;
    assert_eq!(without, plain);
    assert_eq!(bytes(&format!(r#"{{{members}, "priority": "normal"}}"#)), plain);
    for (given, stored) in [
        (r#""priority": "low""#, r#""priority":"low""#),
        (r#""priority": "high""#, r#""priority":"high""#),
        // Start times in the past and at the end of the year are valid.
        (r#""not_before": "2020-09-13T14:26:40+02:00""#, r#""not_before":1600000000000"#),
        (r#""not_before": "2027-09-21T14:13:20.123Z""#, r#""not_before":1821536000123"#),
    ] {
        let spec = spec_of(&format!("{{{members}, {given}}}")).expect("valid");
        let json = serde_json::to_string(&spec).expect("plain");
        assert_eq!(json, format!("{},{stored}}}", plain.trim_end_matches('}')));
        assert_eq!(serde_json::from_str::<BatchSpec>(&json).expect("same"), spec);
        let again = BatchSpec::from_request(spec.clone().into(), &Limits::default(), 1, None, NOW);
        assert_eq!(again, Ok(spec), "the request that leads to it");
    }
}

#[test]
fn a_stored_spec_with_an_unknown_member_or_priority_is_refused() {
    let with = |member: &str| {
        let json = r#"{"work":{"kind":"color"},"rows":2,"columns":3,"seed":7,"attempts":3,"timeout_ms":60000,"#;
        serde_json::from_str::<BatchSpec>(&format!("{json}{member}}}"))
    };
    assert!(with(r#""priority":"high""#).is_ok());
    for member in [r#""priority":"urgent""#, r#""priority":2"#, r#""not_after":1"#, r#""not_before":"soon""#] {
        assert!(with(member).is_err(), "{member}");
    }
}

#[test]
fn a_stored_spec_reads_back() {
    let spec =
        spec_of(r#"{"work": {"kind": "color", "failure_rate": 0.5}, "rows": 2, "columns": 3, "concurrency": 5, "tolerated_failures": 0.1}"#).expect("valid");
    let json = serde_json::to_string(&spec).expect("plain");
    assert_eq!(serde_json::from_str::<BatchSpec>(&json).expect("same"), spec);
}

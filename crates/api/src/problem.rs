//! Errors as problem details.

use serde::{Deserialize, Serialize};

/// The prefix of the types of all problems.
const TYPE: &str = "urn:quilt:problem:";

/// A problem document of RFC 9457: the body of all error responses, as `application/problem+json`.
///
/// All members are optional in deserialization, because a proxy may have written the document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProblemDocument {
    /// The kind of the problem, for programs: `urn:quilt:problem:` and a stable [`name`](Self::name).
    pub r#type: String,
    /// The reason phrase of the status code.
    pub title: String,
    /// The status code, 400 to 599.
    pub status: u16,
    /// The description, for people: what happened, the value, the limit.
    pub detail: String,
}

impl ProblemDocument {
    /// Creates a problem with a name, which is stable and consists of lowercase words and hyphens.
    #[must_use]
    pub fn new(name: &str, title: &str, status: u16, detail: String) -> Self {
        Self { r#type: format!("{TYPE}{name}"), title: title.into(), status, detail }
    }

    /// The name of the problem, such as `no-such-batch`; `None` if the problem is not from this API.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.r#type.strip_prefix(TYPE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_golden;

    #[test]
    fn a_problem_has_a_name_for_programs_and_a_text_for_people() {
        let problem = ProblemDocument::new("no-such-batch", "Not Found", 404, "there is no batch of this id".into());
        assert_eq!(problem.name(), Some("no-such-batch"));
        assert_golden(
            &problem,
            r#"{"type":"urn:quilt:problem:no-such-batch","title":"Not Found","status":404,"detail":"there is no batch of this id"}"#,
        );
    }

    #[test]
    fn a_problem_of_a_proxy_can_be_read() {
        let problem: ProblemDocument =
            serde_json::from_str(r#"{"detail":"busy","instance":"/x"}"#).expect("members are optional");
        assert_eq!((problem.detail.as_str(), problem.name()), ("busy", None));
    }
}

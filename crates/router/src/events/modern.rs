use http::StatusCode;
use protocol::mcp::{Code, write_error, write_result};
use serde_json::value::RawValue;
use upstream::Outcome;

use super::no_outcome;

/// Writes an outcome as a modern response, with the HTTP status that it has outside of a stream.
pub(super) fn write(id: &str, outcome: Outcome) -> (StatusCode, Vec<u8>) {
    let (result, kind) = match outcome {
        Outcome::Complete(result) => (result, "complete"),
        Outcome::InputRequired(result) => (result, "input_required"),
        Outcome::Task(result) => (result, "task"),
        Outcome::Error(error) => return (Code(error.code).modern_status(), write_error(Some(id), &error)),
        Outcome::Accepted => return write(id, no_outcome()),
    };
    (StatusCode::OK, write_result(id, &with_type(&result, kind)))
}

/// The same object with `resultType` in front (`basic/index`, "Result").
fn with_type(result: &RawValue, kind: &str) -> Box<RawValue> {
    let inside = result.get().strip_prefix('{').expect("a result is an object").trim_start();
    let comma = if inside.starts_with('}') { "" } else { "," };
    RawValue::from_string(format!("{{\"resultType\":\"{kind}\"{comma}{inside}")).expect("it stays an object")
}

use http_kit::Problem;
use registry::Error;

/// A refusal of the registry as a problem, where no form can show it beside a field.
pub(crate) fn refusal(error: Error) -> Problem {
    match error {
        Error::Invalid { .. } => Problem::unprocessable(error.to_string()),
        Error::Taken(_) => Problem::conflict(error.to_string()),
        Error::Blocked => Problem::forbidden("This account cannot sign in."),
        Error::Busy => Problem::unavailable(error),
        Error::Storage(error) => error.into(),
    }
}

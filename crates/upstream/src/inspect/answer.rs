use bytes::Bytes;
use futures_util::StreamExt;
use http::{
    Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use http_body_util::BodyExt;
use protocol::mcp::{Envelope, Message, RpcError, sse};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{InspectError, listing::cut};
use crate::{Answer, Event, EventStream, Outcome, PassBody};

/// The largest answer that is taken in, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// What came back for a request.
pub(super) enum Reply {
    /// Its result.
    Result(Value),
    /// A JSON-RPC error, and the HTTP status that it came with.
    Error(StatusCode, RpcError),
    /// A status that is no success, and nothing with it that we understand.
    Status(StatusCode),
}

/// Reads the answer to the request `id`, in whichever of its forms.
pub(super) async fn read(answer: Answer, id: u64) -> Result<Reply, InspectError> {
    match answer {
        Answer::Pass(response) => read_http(response, id).await,
        Answer::Events(events) => read_events(events).await,
    }
}

async fn read_events(mut events: EventStream) -> Result<Reply, InspectError> {
    while let Some(event) = events.next().await {
        match event {
            Event::Notification { .. } => {}
            Event::Outcome(Outcome::Complete(result)) => return result_of(&result),
            Event::Outcome(Outcome::Error(error)) => return Ok(Reply::Error(StatusCode::OK, error)),
            Event::Outcome(_) => return Err(InspectError::NotMcp("it answers with something else than a result")),
        }
    }
    Err(NO_ANSWER)
}

const NO_ANSWER: InspectError = InspectError::NotMcp("it ends its answer before the result");

async fn read_http(response: Response<PassBody>, id: u64) -> Result<Reply, InspectError> {
    let (head, body) = response.into_parts();
    if head.status.is_redirection() {
        let to = head.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("another address");
        return Err(InspectError::Redirects(cut(to, 300)));
    }
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (head.status.is_success(), kind.as_str()) {
        (true, "text/event-stream") => read_stream(body, id).await,
        (true, "application/json") => {
            let body = collect(body).await?;
            match message(&body, id) {
                Some(Ok(result)) => result_of(result),
                Some(Err(error)) => Ok(Reply::Error(head.status, error)),
                None => Err(InspectError::NotMcp("what it answers is not a JSON-RPC response")),
            }
        }
        (true, _) => Err(InspectError::NotMcp("it answers neither with JSON nor with a stream of events")),
        (false, "application/json") => Ok(match message(&collect(body).await?, id) {
            Some(Err(error)) => Reply::Error(head.status, error),
            _ => Reply::Status(head.status),
        }),
        (false, _) => Ok(Reply::Status(head.status)),
    }
}

/// Reads events up to the one that answers the request; the rest is not waited for.
async fn read_stream(mut body: PassBody, id: u64) -> Result<Reply, InspectError> {
    let mut decoder = sse::Decoder::new(MAX_ANSWER);
    let mut taken = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        taken += data.len();
        if taken > MAX_ANSWER || decoder.push(&data).is_err() {
            return Err(InspectError::TooLarge);
        }
        while let Some(event) = decoder.next_event() {
            match message(&event.data, id) {
                Some(Ok(result)) if event.is_message() => return result_of(result),
                Some(Err(error)) if event.is_message() => return Ok(Reply::Error(StatusCode::OK, error)),
                _ => {}
            }
        }
    }
    Err(NO_ANSWER)
}

async fn collect(mut body: PassBody) -> Result<Bytes, InspectError> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if whole.len() + data.len() > MAX_ANSWER {
            return Err(InspectError::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

/// The outcome in a message, if it is the response to `id`. An error may be without an id.
fn message(bytes: &[u8], id: u64) -> Option<Result<&RawValue, RpcError>> {
    #[derive(Deserialize)]
    struct Wire {
        code: i32,
        message: String,
        data: Option<Value>,
    }
    let Message::Response { id: of, outcome } = Envelope::parse(bytes).ok()?.message else { return None };
    let ours = of.is_some_and(|of| of.get() == id.to_string());
    match outcome {
        Ok(result) => ours.then_some(Ok(result)),
        Err(error) => {
            let Wire { code, message, data } = serde_json::from_str(error.get()).ok()?;
            (ours || of.is_none()).then_some(Err(RpcError { code, message, data }))
        }
    }
}

fn result_of(result: &RawValue) -> Result<Reply, InspectError> {
    match serde_json::from_str::<Value>(result.get()) {
        Ok(value) if value.is_object() => Ok(Reply::Result(value)),
        _ => Err(InspectError::NotMcp("its result is not an object")),
    }
}

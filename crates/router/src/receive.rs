use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::{
    Limits,
    refuse::{Refused, early},
};

/// Reads a posted message, up to the limit. A body that comes in one frame is not copied.
pub(crate) async fn receive<B>(headers: &HeaderMap, body: B, limits: &Limits) -> Result<Bytes, Refused>
where
    B: Body<Data = Bytes>,
{
    if !is_json(headers) {
        return Err(early(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the Content-Type has to be application/json"));
    }
    // A wrong length is hyper's to refuse; a large one is refused before a byte is read.
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    if declared.is_some_and(|length: u64| length > limits.body as u64) {
        return Err(too_large());
    }
    // The timer is only set when the body is not there yet.
    let collected = tokio::time::timeout(limits.receive, collect(body, limits.body)).await;
    collected.unwrap_or_else(|_| Err(early(StatusCode::REQUEST_TIMEOUT, "the message took too long to arrive")))
}

async fn collect<B>(body: B, limit: usize) -> Result<Bytes, Refused>
where
    B: Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| early(StatusCode::BAD_REQUEST, "the body could not be read"))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit.saturating_sub(first.len() + rest.len()) {
            return Err(too_large());
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    crate::headers::media_type(value).eq_ignore_ascii_case("application/json")
}

fn too_large() -> Refused {
    early(StatusCode::PAYLOAD_TOO_LARGE, "the message is too large")
}

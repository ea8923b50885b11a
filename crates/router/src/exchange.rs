//! One exchange: read, judged, sent, answered.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode};
use model::Scope;
use protocol::mcp::{Code, Envelope, Era, Message, Meta, Params, Refusal, check_modern, header, method, text};
use serde_json::value::RawValue;
use upstream::{Answer, Call, PassBody, Verb, http::uncancelled};

use crate::{
    Body,
    events::{self, Shape},
    gateway::{Admitted, State},
    headers, policy,
    refuse::{Refused, bad_gateway, early, refusal, upstream_failed},
    session::{self, Binding, Unusable},
    tunnel::{self, Passage},
};

/// A message and what was seen in it.
struct Read<'a> {
    envelope: Envelope<'a>,
    params: Params<'a>,
    era: Era,
}

impl<'a> Read<'a> {
    /// Reads a message, finds its era, and checks a modern one against its headers.
    fn new(admitted: &Admitted, body: &'a [u8]) -> Result<Self, Refused> {
        let envelope = Envelope::parse(body).map_err(|malformed| {
            let error = malformed.rpc_error();
            refusal(None, &Refusal { status: StatusCode::BAD_REQUEST, error })
        })?;
        let id = envelope.id().map(RawValue::get);
        let seen = envelope.peek().and_then(|params| Some((params, params.meta()?)));
        let Some((params, meta)): Option<(Params<'a>, Meta<'a>)> = seen else {
            let message = "params or its _meta are not an object, or an ambiguous one";
            return Err(refusal(id, &Refusal::with_status(StatusCode::BAD_REQUEST, Code::INVALID_PARAMS, message)));
        };
        let era = Era::of_message(&admitted.headers, &envelope, &meta);
        if era == Era::Modern {
            check_modern(&admitted.headers, &envelope, &params, &meta).map_err(|fault| refusal(id, &fault))?;
        }
        Ok(Self { envelope, params, era })
    }

    fn is(&self, method: &str) -> bool {
        self.envelope.method().is_some_and(|own| own == method)
    }

    /// How the outcome has to look.
    fn shape(&self) -> Shape {
        match self.era {
            Era::Modern => Shape::Modern,
            Era::Legacy if self.is(method::INITIALIZE) => {
                let asked = self.params.protocol_version.and_then(text);
                Shape::Initialize { version: Era::negotiate_legacy(asked.as_deref()) }
            }
            Era::Legacy if self.is(method::RESOURCES_READ) => Shape::LegacyRead,
            Era::Legacy => Shape::Legacy,
        }
    }
}

/// Answers a posted message.
pub(crate) async fn post(state: &State, admitted: Admitted, body: Bytes) -> Result<Response<Body>, Refused> {
    let read = Read::new(&admitted, &body)?;
    permit(state, &admitted, policy::scope(&read.envelope.message))?;
    // A notification, and an answer to a question of the server's, are no calls.
    let call = matches!(read.envelope.message, Message::Request { .. });
    let (tenant, server) = (admitted.server.tenant, admitted.server.id);
    if call {
        state.usage.call(tenant, server);
    }
    let answer = send(state, &admitted, &read, &body).await;
    let status = answer.as_ref().map_or_else(|refused| refused.status(), Response::status);
    if call && (status.is_client_error() || status.is_server_error()) {
        state.usage.error(tenant, server);
    }
    answer
}

/// Sends a message that may be sent.
async fn send(state: &State, admitted: &Admitted, read: &Read<'_>, body: &Bytes) -> Result<Response<Body>, Refused> {
    let id = read.envelope.id().map(RawValue::get);
    let initialize = read.era == Era::Legacy && read.is(method::INITIALIZE);
    let mut call = call(admitted, read.era, Verb::Post);
    call.body = body.clone();
    let answer = match read.era {
        // Dropped with this future: a modern client cancels by closing (`basic/patterns/cancellation`).
        Era::Modern => state.upstreams.exchange(call).await,
        Era::Legacy => {
            if !initialize {
                open_session(state, admitted, &mut call)?;
            }
            // A legacy one does not (2025-11-25, transports, "Sending messages to the server").
            uncancelled(Arc::clone(&state.upstreams), call, &state.drains).await
        }
    };
    match answer {
        Ok(Answer::Pass(response)) => {
            let standing = read.is(method::LISTEN).then(|| state.until_expiry(&admitted.who));
            let session = if initialize { seal_session(state, admitted, &response, id)? } else { None };
            let mut ours = tunnel::pass(state, response, Passage { id, standing, admitted });
            if let Some(session) = session {
                ours.headers_mut().insert(header::SESSION_ID, session);
            }
            Ok(ours)
        }
        Ok(Answer::Events(events)) => Ok(events::answer(events, id, read.shape(), state.limits.keep_alive).await),
        Err(error) => Err(failed(admitted, id, &error)),
    }
}

/// Answers the verbs that only the legacy era has: a stream for what the server sends by itself, and the end
/// of a session.
pub(crate) async fn legacy(state: &State, admitted: Admitted, verb: Verb) -> Result<Response<Body>, Refused> {
    permit(state, &admitted, Scope::READ)?;
    let mut call = call(&admitted, Era::Legacy, verb);
    open_session(state, &admitted, &mut call)?;
    let standing: Option<Duration> = Some(state.until_expiry(&admitted.who));
    match state.upstreams.exchange(call).await {
        Ok(Answer::Pass(response)) => {
            Ok(tunnel::pass(state, response, Passage { id: None, standing, admitted: &admitted }))
        }
        Ok(Answer::Events(_)) => Err(Box::new(bad_gateway(None, "the server answered what was not asked"))),
        Err(error) => Err(failed(&admitted, None, &error)),
    }
}

/// Refuses what the token's scopes do not cover, with the challenge that lets the client ask for more.
fn permit(state: &State, admitted: &Admitted, needed: &str) -> Result<(), Refused> {
    if admitted.who.scopes.grants(needed) {
        Ok(())
    } else {
        Err(Box::new(state.guard.insufficient_scope(&admitted.path, needed).map(Body::full)))
    }
}

fn call(admitted: &Admitted, era: Era, verb: Verb) -> Call {
    Call {
        server: Arc::clone(&admitted.server),
        principal: admitted.who.principal.clone(),
        era,
        verb,
        headers: headers::upstream(&admitted.headers, era),
        body: Bytes::new(),
    }
}

fn binding(admitted: &Admitted) -> Binding<'_> {
    Binding { server: &admitted.server, principal: &admitted.who.principal, client: &admitted.who.client_id }
}

/// Gives the upstream its own session id back. What is not a session of this caller's on this server is
/// answered as a session that has ended, whatever it is (2025-11-25, transports, "Session management").
fn open_session(state: &State, admitted: &Admitted, call: &mut Call) -> Result<(), Refused> {
    let ended = || early(StatusCode::NOT_FOUND, "this session has ended; initialize again");
    if let Some(sent) = session::sent(&admitted.headers).map_err(|()| ended())? {
        let id = binding(admitted).open(&state.tokens, sent, state.clock.now()).ok_or_else(ended)?;
        call.headers.insert(header::SESSION_ID, id);
    }
    Ok(())
}

/// The session id for the client, when the upstream opened a session. Only the answer to `initialize` may.
fn seal_session(
    state: &State,
    admitted: &Admitted,
    response: &Response<PassBody>,
    id: Option<&str>,
) -> Result<Option<http::HeaderValue>, Refused> {
    let opened = response.headers().get(header::SESSION_ID).filter(|_| response.status().is_success());
    let sealed = opened.map(|session| binding(admitted).seal(&state.tokens, session, &*state.clock, &state.limits));
    sealed.transpose().map_err(|unusable| {
        let reason = match unusable {
            Unusable::TooLong => "the upstream's session id is longer than 512 bytes, which is not supported yet",
            Unusable::Illegal => "the upstream's session id has characters that are not allowed in it",
        };
        Box::new(bad_gateway(id, reason))
    })
}

fn failed(admitted: &Admitted, id: Option<&str>, error: &upstream::UpstreamError) -> Refused {
    tracing::warn!(
        tenant.id = %admitted.server.tenant,
        server.id = %admitted.server.id,
        error = error as &dyn std::error::Error,
        "an upstream did not answer"
    );
    Box::new(upstream_failed(id, error))
}

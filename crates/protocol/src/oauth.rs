//! OAuth on the wire: parameters, errors, redirect URIs, PKCE, metadata documents, challenges and
//! responses. Values only: who a client is and what it may do is decided in `auth`.
//!
//! Invariant: nothing of a request is reflected in an error, a challenge or a description.

mod basic;
mod challenge;
mod error;
mod metadata;
mod params;
mod pkce;
mod redirect;
mod registration;
mod response;
mod token;

pub use self::{
    basic::{ClientCredentials, InvalidBasic},
    challenge::BearerChallenge,
    error::{Error, ErrorCode},
    metadata::{AuthorizationServerMetadata, OpenIdMetadata, ProtectedResourceMetadata},
    params::{InvalidParams, Params},
    pkce::{CodeChallenge, InvalidChallenge, verifier_is_well_formed},
    redirect::{InvalidRedirect, RedirectKind, RedirectUri, redirect_matches},
    registration::{RegistrationRequest, RegistrationResponse},
    response::{AuthorizationResponse, percent_encode},
    token::TokenResponse,
};

//! OAuth on the wire: parameters, errors, redirect URIs, PKCE, metadata documents, challenges and
//! responses. Values only: who a client is and what it may do is decided in `auth`.
//!
//! Invariant: nothing of a request is reflected in an error, a challenge or a description.

mod basic;
mod challenge;
mod document_url;
mod error;
mod keys;
mod metadata;
mod params;
mod pkce;
mod redirect;
mod registration;
mod response;
mod strict_json;
mod token;

pub use self::{
    basic::{ClientCredentials, InvalidBasic},
    challenge::BearerChallenge,
    document_url::{DocumentUrl, InvalidDocumentUrl},
    error::{Error, ErrorCode},
    keys::{InvalidKeys, check_public_keys},
    metadata::{AuthorizationServerMetadata, OpenIdMetadata, ProtectedResourceMetadata},
    params::{InvalidParams, Params},
    pkce::{CodeChallenge, InvalidChallenge, verifier_is_well_formed},
    redirect::{InvalidRedirect, RedirectKind, RedirectUri, redirect_matches},
    registration::{RegistrationManagement, RegistrationRequest, RegistrationResponse},
    response::{AuthorizationResponse, percent_encode},
    strict_json::{InvalidJson, strict_json},
    token::TokenResponse,
};

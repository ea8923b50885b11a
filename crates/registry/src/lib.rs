//! Tenants, users, members, servers and connections: every rule about them, once. Pages, the API and the
//! command line call it.
//!
//! Invariants:
//! - What acts for a tenant takes a [`Member`] or a [`Developer`], and only a lookup of this crate makes
//!   one: what has not been checked cannot be called.
//! - A stranger and an absent tenant are the same `None`.
//! - A person is found by identity or by local account, never by the e-mail address a provider gives.
//! - [`Directory`] answers from memory: no I/O and no allocation.

pub mod apply;

mod accounts;
mod clients;
mod connections;
mod directory;
mod error;
mod facts;
mod invitations;
mod member;
mod password;
mod people;
pub mod reader;
mod rules;
mod servers;
mod shred;

use std::sync::Arc;

use model::{Clock, Entropy, Id};
use storage::repo::{Actor, AuditEvent, Repos};

pub use crate::{
    accounts::{Claims, NewSetup, NewTenant},
    connections::{ConnectionChange, Keeper, NewConnection},
    directory::Directory,
    error::Error,
    facts::{Facts, Wanted},
    invitations::{Acceptance, INVITATION_LIFE, Invited},
    member::{Admin, Developer, Member, Operator},
    password::{PASSWORD_MAX, PASSWORD_MIN},
    rules::NewRule,
    servers::NewServer,
};

/// What calls of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

/// Every rule about tenants, users, members, servers and connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    repos: Repos,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    passwords: Arc<password::Passwords>,
}

impl Registry {
    /// The rules over these records.
    pub fn new(repos: Repos, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let passwords = Arc::new(password::Passwords::new(Arc::clone(&entropy)));
        Self { repos, clock, entropy, passwords }
    }

    /// A fresh id.
    fn id<K>(&self) -> Id<K> {
        Id::new(&*self.clock, &*self.entropy)
    }

    /// An audit event of now.
    fn audit(&self, actor: Actor, action: &str, subject: impl ToString) -> AuditEvent {
        AuditEvent::new(&*self.clock, &*self.entropy, actor, action, subject)
    }
}

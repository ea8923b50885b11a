use storage::Collection;

pub use crate::session::SESSIONS;
use crate::{connect::LEGS, flow::TRANSACTIONS, signin::LINKS};

/// All values that this crate keeps.
pub const COLLECTIONS: [Collection; 4] = [SESSIONS, TRANSACTIONS, LEGS, LINKS];

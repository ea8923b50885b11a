use http_kit::BUDGETS;
use storage::Collection;

pub use crate::session::SESSIONS;
use crate::{connect::LEGS, consent::CONSENTS, document::LAST_GOOD, flow::TRANSACTIONS, signin::LINKS};

/// All values that this crate keeps, those of its limits included.
pub const COLLECTIONS: [Collection; 7] = [SESSIONS, TRANSACTIONS, LEGS, LINKS, CONSENTS, BUDGETS, LAST_GOOD];

use http_kit::BUDGETS;
use storage::Collection;

pub use crate::session::SESSIONS;
use crate::{connect::LEGS, flow::TRANSACTIONS, signin::LINKS};

/// All values that this crate keeps, those of its limits included.
pub const COLLECTIONS: [Collection; 5] = [SESSIONS, TRANSACTIONS, LEGS, LINKS, BUDGETS];

//! What everything that speaks HTTP shares.

// Shared templates name this crate by its name, from inside it as well.
extern crate self as http_kit;

pub mod outbound;
pub mod stylesheet;

//! Refresh tokens: 20 to 23.

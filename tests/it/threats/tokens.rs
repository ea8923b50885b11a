//! Access tokens, revocation, keys: 24, 27 to 32, 57, 64, 65.

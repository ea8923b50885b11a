//! Sign-in with identity providers: 9 to 12, 51, 52, 54, 55, 59.

//! Authorization codes: 13, 17 to 19, 26.

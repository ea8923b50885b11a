//! Where our own requests may go: 33, 34.

//! The whole thing: the real binary, real clients unchanged, real servers, a real browser.

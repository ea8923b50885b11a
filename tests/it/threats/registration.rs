//! Clients that register, and their documents: 35 to 41, 61.

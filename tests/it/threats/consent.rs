//! From the request to the decision: 1 to 8, 62, 63, 67.

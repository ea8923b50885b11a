//! What is not built yet is not there: 43 to 45, 69.

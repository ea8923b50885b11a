//! What gets out, and to whom: 25, 49, 50, 56, 58, 60, 70.

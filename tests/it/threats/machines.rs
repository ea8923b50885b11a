//! Programs that prove who they are: 42, 53, 66.

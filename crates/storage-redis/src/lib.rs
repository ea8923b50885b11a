//! Values, hints and the usage stream over Redis or Valkey.

//! Redirect URIs and what is sent to them: 14 to 16, 46 to 48, 68.

//! OAuth 2.1 and its relatives: requests, metadata documents, error codes, PKCE, redirect URIs.

//! Declared state: what `portico apply` reads, compares and brings about.

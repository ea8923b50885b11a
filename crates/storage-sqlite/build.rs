//! Rebuilds when a migration or the checked queries change.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
    println!("cargo:rerun-if-changed=../../migrations/sqlite-keys");
    println!("cargo:rerun-if-changed=.sqlx");
}

//! Rebuilds when a migration or the checked queries change.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/postgres");
    println!("cargo:rerun-if-changed=../../migrations/postgres-keys");
    println!("cargo:rerun-if-changed=.sqlx");
}

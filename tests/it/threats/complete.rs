//! Every threat has its tests, every test its threat, and the documents name them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use super::register::{DUE, State, THREATS};

/// A test that proves something about a threat.
struct Proof {
    threat: usize,
    name: String,
    /// Its file, from the root of the repository.
    file: String,
    /// What is wrong with how it is written.
    fault: Option<&'static str>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The number and the name of the test that a line of source declares.
fn declared(line: &str) -> Option<(usize, &str)> {
    let line = line.trim_start();
    let name = line.strip_prefix("async fn t").or_else(|| line.strip_prefix("fn t"))?;
    let (number, rest) = name.split_at_checked(2)?;
    let number = number.parse().ok()?;
    let end = rest.strip_prefix('_')?.find('(')? + 1;
    let start = line.len() - name.len() - 1;
    Some((number, &line[start..=start + 2 + end]))
}

/// What stands above a test has to make it one, and to say what it is about.
fn fault(threat: usize, above: &[&str]) -> Option<&'static str> {
    let own: Vec<_> = above
        .iter()
        .rev()
        .map(|line| line.trim())
        .take_while(|line| line.starts_with("#[") || line.starts_with("///"))
        .collect();
    let first = own.iter().rev().find_map(|line| line.strip_prefix("/// "));
    let begins = format!("Threat {threat}: ");
    if !own.iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test")) {
        Some("is not a test")
    } else if own.iter().any(|line| line.starts_with("#[ignore")) {
        Some("is ignored")
    } else if first.is_none_or(|first| !first.starts_with(&begins)) {
        Some("does not begin its comment with its threat")
    } else {
        None
    }
}

fn proofs() -> Vec<Proof> {
    let root = root();
    let mut files = Vec::new();
    rust_files(&root.join("tests"), &mut files);
    files.sort();
    let mut proofs = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("source is text");
        let lines: Vec<_> = text.lines().collect();
        let file = path.strip_prefix(&root).expect("a file of the repository").display().to_string();
        for (at, line) in lines.iter().enumerate() {
            if let Some((threat, name)) = declared(line) {
                let fault = fault(threat, &lines[..at]);
                proofs.push(Proof { threat, name: name.to_owned(), file: file.clone(), fault });
            }
        }
    }
    proofs
}

#[test]
fn every_threat_is_in_the_register_once() {
    let numbers: Vec<_> = THREATS.iter().map(|threat| threat.number).collect();
    assert_eq!(numbers, (1..=70).collect::<Vec<_>>());
}

#[test]
fn every_threat_has_its_tests() {
    let proofs = proofs();
    let mut faults: Vec<_> = proofs
        .iter()
        .filter_map(|proof| proof.fault.map(|fault| format!("{} in {} {fault}", proof.name, proof.file)))
        .collect();
    let mut tested: BTreeMap<usize, usize> = BTreeMap::new();
    for proof in &proofs {
        *tested.entry(proof.threat).or_default() += 1;
    }
    let due: Vec<_> = DUE.iter().copied().flatten().copied().collect();
    for threat in 1..=THREATS.len() {
        match (tested.contains_key(&threat), due.contains(&threat)) {
            (false, false) => faults.push(format!("threat {threat} has no test")),
            (true, true) => faults.push(format!("threat {threat} has a test: take it out of `DUE`")),
            _ => {}
        }
    }
    faults
        .extend(tested.keys().filter(|threat| !(1..=70).contains(*threat)).map(|threat| format!("no threat {threat}")));
    assert_eq!(faults, Vec::<String>::new());
}

/// The table between the marks of `docs/security.md`.
fn table() -> String {
    let proofs = proofs();
    let mut table = String::from("\n| # | threat | tests | got wrong elsewhere |\n|---|---|---|---|\n");
    for threat in THREATS {
        let tests = proofs.iter().filter(|proof| proof.threat == threat.number);
        let tests = tests.map(|proof| format!("[`{}`](../{})", proof.name, proof.file));
        let mut cell = tests.collect::<Vec<_>>().join(", ");
        if cell.is_empty() {
            cell.push_str("due");
        }
        if let State::Later(feature) = threat.state {
            cell = format!("{feature}: later, and off: {cell}");
        }
        let elsewhere = if threat.elsewhere.is_empty() { "–" } else { threat.elsewhere };
        writeln!(table, "| {} | {} | {cell} | {elsewhere} |", threat.number, threat.title).expect("a string takes it");
    }
    table
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test that may write what it compares")]
fn the_table_in_the_documents_is_this_one() {
    const MARKS: (&str, &str) = ("<!-- threats: generated -->\n", "<!-- threats: end -->");
    let path = root().join("docs/security.md");
    let text = fs::read_to_string(&path).expect("the document");
    let (before, rest) = text.split_once(MARKS.0).expect("the mark before the table");
    let (written, after) = rest.split_once(MARKS.1).expect("the mark after the table");
    let table = format!("{}\n", table());
    if std::env::var_os("TEST_UPDATE").is_some() {
        fs::write(&path, format!("{before}{}{table}{}{after}", MARKS.0, MARKS.1)).expect("the document");
        return;
    }
    assert!(
        written == table,
        "docs/security.md is older than its tests: TEST_UPDATE=1 cargo nextest run --workspace -E 'test(threats::complete)'"
    );
}

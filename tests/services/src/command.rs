//! Running other programs to their end.
#![expect(clippy::print_stdout, reason = "developer commands show what they run")]

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Shows a command and runs it; whether it succeeded.
pub fn passes(command: &mut Command) -> Result<bool> {
    println!("$ {}", shown(command));
    Ok(command.status().with_context(|| shown(command))?.success())
}

/// Shows a command and runs it; anything but success is an error.
pub fn must(command: &mut Command) -> Result<()> {
    if !passes(command)? {
        bail!("{} failed", shown(command));
    }
    Ok(())
}

/// Runs a command that only answers a question; its output if it succeeded.
pub fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command without a word, unless it fails: then its output is in the error.
pub(crate) fn quietly(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| shown(command))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("{} failed:\n{}", shown(command), String::from_utf8_lossy(&said));
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

//! Running other programs.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Shows a command and runs it; whether it succeeded.
pub(crate) fn passes(command: &mut Command) -> Result<bool> {
    println!("$ {}", shown(command));
    Ok(command.status().with_context(|| shown(command))?.success())
}

/// Shows a command and runs it; anything but success is an error.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    if !passes(command)? {
        bail!("{} failed", shown(command));
    }
    Ok(())
}

/// Runs a command that only answers a question; its output if it succeeded.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A cargo command in the checkout.
pub(crate) fn cargo(machine: &crate::machine::Machine, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&machine.root).args(arguments);
    command
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

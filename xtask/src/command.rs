//! Running cargo in the checkout.

use std::process::Command;

use crate::machine::Machine;

/// A cargo command in the checkout.
pub(crate) fn cargo(machine: &Machine, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&machine.root).args(arguments);
    command
}

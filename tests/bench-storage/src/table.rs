//! The tables of `docs/benchmarks.md`.

use crate::{
    CALLERS, Figures,
    load::{Measured, Verb},
};

/// Prints what one store takes: a row per verb, plain and sealed in each cell.
pub(crate) fn show(name: &str, figures: &Figures) {
    let columns = CALLERS.map(|callers| {
        let who = if callers == 1 { "1 caller".to_owned() } else { format!("{callers} callers") };
        format!("{who}: p50 | p99 | per second | CPU")
    });
    println!("\n| {name} | {} |\n|---|{}", columns.join(" | "), "---|".repeat(4 * CALLERS.len()));
    for (row, verb) in Verb::ALL.iter().enumerate() {
        let cells: Vec<String> = figures
            .iter()
            .flat_map(|verbs| {
                let both = &verbs[row];
                [
                    cell(both, |one| one.p50),
                    cell(both, |one| one.p99),
                    cell(both, |one| one.rate),
                    cell(both, |one| one.cpu),
                ]
            })
            .collect();
        println!("| {} | {} |", verb.name(), cells.join(" | "));
    }
}

fn cell(both: &[Measured; 2], what: fn(&Measured) -> f64) -> String {
    let [plain, sealed] = both.each_ref().map(what).map(shown);
    format!("{plain} / {sealed}")
}

/// Three digits are more than a second sitting confirms.
fn shown(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.1}"),
        value if value < 1000.0 => format!("{value:.0}"),
        value => {
            let text = format!("{value:.0}");
            let digits = text.len();
            let mut grouped = String::new();
            for (at, digit) in text.chars().enumerate() {
                if at > 0 && (digits - at).is_multiple_of(3) {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            grouped
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let shown: Vec<_> = [0.42, 9.96, 10.4, 999.4, 1000.0, 1_234_567.8].map(shown).into();
        assert_eq!(shown, ["0.4", "10.0", "10", "999", "1,000", "1,234,568"]);
    }
}

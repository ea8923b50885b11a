/// `1 data key`, `2 data keys`: of things whose plural ends in s.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        let said: Vec<_> = (0..3).map(|count| counted(count, "data key")).collect();
        assert_eq!(said, ["0 data keys", "1 data key", "2 data keys"]);
    }
}

use std::time::Duration;

use model::Timestamp;

/// How long a refresh token stays that nobody used while a sibling of it was in use.
pub const SIBLING_LIFE: Duration = Duration::from_hours(48);

/// How the use of a refresh token is judged. Clients race with themselves, and answers get lost; a thief looks
/// almost the same. See `docs/authorization.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// How long a replaced token gives siblings. Zero: every second use ends the grant.
    pub grace: Duration,
    /// How long after its last replacement a token is taken for one whose answer got lost, if nothing that came
    /// of it was ever used.
    pub lost: Duration,
    /// How many tokens may replace one.
    pub siblings: u32,
}

/// What is known of a refresh token that somebody presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// When it was last replaced.
    pub rotated_at: Option<Timestamp>,
    /// Whether it was taken for lost.
    pub superseded: bool,
    /// How many tokens replaced it, without superseded ones.
    pub children: u32,
    /// Whether any token that replaced it was used: replaced itself, or its access token seen.
    pub children_used: bool,
}

/// How a rotation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// The token had not been replaced.
    First,
    /// The token had been replaced a moment ago: a sibling was added.
    Sibling,
    /// The answer had been lost: what came of it was superseded, and the grant has this version now.
    Recovered {
        /// The grant's new version.
        version: u32,
    },
    /// Somebody used it who should not have it: the grant is over.
    Reused,
    /// It was replaced too often just now. Nothing was written.
    TooMany,
    /// The token or its grant is over or not there. Nothing was written.
    No,
}

/// What is to be done about a refresh token that somebody presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Replace it.
    Replace,
    /// Add a sibling.
    AddSibling,
    /// Supersede its children and add another.
    Recover,
    /// End the grant.
    EndGrant,
    /// Nothing, for now.
    Wait,
}

impl Replacement {
    /// Judges, in this order.
    pub fn judge(&self, token: &Presented, now: Timestamp) -> Verdict {
        let Some(rotated_at) = token.rotated_at else {
            // Taken for lost, and here it is: two hold tokens of this family.
            return if token.superseded { Verdict::EndGrant } else { Verdict::Replace };
        };
        let age = now.since(rotated_at);
        if !self.grace.is_zero() && age <= self.grace {
            return if token.children < self.siblings { Verdict::AddSibling } else { Verdict::Wait };
        }
        let lost = !self.grace.is_zero() && age <= self.lost && !token.children_used;
        if lost { Verdict::Recover } else { Verdict::EndGrant }
    }
}

impl Rotated {
    /// What the log calls it; `None` where nothing was written.
    pub const fn action(self) -> Option<&'static str> {
        match self {
            Self::First => Some("grant.refreshed"),
            Self::Sibling => Some("grant.refreshed_again"),
            Self::Recovered { .. } => Some("grant.refresh_recovered"),
            Self::Reused => Some("grant.refresh_reused"),
            Self::TooMany | Self::No => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Replacement =
        Replacement { grace: Duration::from_mins(2), lost: Duration::from_hours(24), siblings: 3 };

    #[test]
    fn a_replaced_token_is_judged_by_time_and_by_what_became_of_it() {
        let at = Timestamp::from_seconds(1_000_000);
        let fresh = Presented { rotated_at: None, superseded: false, children: 0, children_used: false };
        let rotated = Presented { rotated_at: Some(at), children: 1, ..fresh };
        let used = Presented { children_used: true, ..rotated };
        let strict = Replacement { grace: Duration::ZERO, ..RULES };
        let (soon, late) = (at + RULES.grace, at + RULES.grace + Duration::from_millis(1));
        let next_day = at + RULES.lost + Duration::from_millis(1);
        for (rules, token, now, verdict) in [
            (RULES, fresh, late, Verdict::Replace),
            (RULES, Presented { superseded: true, ..fresh }, late, Verdict::EndGrant),
            (RULES, rotated, soon, Verdict::AddSibling),
            (RULES, used, soon, Verdict::AddSibling),
            (RULES, Presented { children: 3, ..used }, soon, Verdict::Wait),
            (RULES, rotated, late, Verdict::Recover),
            (RULES, rotated, at + RULES.lost, Verdict::Recover),
            (RULES, rotated, next_day, Verdict::EndGrant),
            (RULES, used, late, Verdict::EndGrant),
            (strict, fresh, late, Verdict::Replace),
            (strict, rotated, at, Verdict::EndGrant),
            (strict, rotated, late, Verdict::EndGrant),
        ] {
            assert_eq!(rules.judge(&token, now), verdict, "{token:?} under {rules:?} at {now:?}");
        }
    }
}

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DAY: Duration = Duration::from_hours(24);
const RULES: KeyRules = KeyRules { algorithm: SigningAlgorithm::Es256, every: Duration::from_hours(30 * 24) };

fn key(kid: &str, state: KeyState, changed_at: Timestamp) -> KeyDates {
    KeyDates {
        kid: kid.to_owned(),
        algorithm: "ES256".to_owned(),
        state,
        created_at: changed_at,
        changed_at,
        ends_at: (state == KeyState::Retiring).then(|| changed_at + TOMBSTONE_LIFE),
        usable: true,
    }
}

fn just_before(time: Duration) -> Duration {
    time.saturating_sub(Duration::from_millis(1))
}

#[test]
fn a_key_is_announced_used_and_kept() {
    let active = key("a", KeyState::Active, NOW);
    let due = |keys: &[KeyDates], after| RULES.due(keys, NOW + after);
    let month = RULES.every;
    assert_eq!(due(std::slice::from_ref(&active), just_before(month)), None);
    assert_eq!(due(std::slice::from_ref(&active), month), Some(Step::Announce));
    let keys = [active.clone(), key("b", KeyState::Pending, NOW + month)];
    assert_eq!(due(&keys, just_before(month + ANNOUNCED)), None, "not before everybody knows it");
    let activate = Step::Activate { kid: "b".to_owned(), retire: vec!["a".to_owned()] };
    assert_eq!(due(&keys, month + ANNOUNCED), Some(activate));
    let keys = [key("a", KeyState::Retiring, NOW + month), key("b", KeyState::Active, NOW + month)];
    assert_eq!(due(&keys, just_before(month + TOMBSTONE_LIFE)), None, "its last token may be alive");
    assert_eq!(due(&keys, month + TOMBSTONE_LIFE), Some(Step::Remove(vec!["a".to_owned()])));
}

#[test]
fn another_algorithm_is_a_reason() {
    let rules = KeyRules { algorithm: SigningAlgorithm::EdDsa, ..RULES };
    let keys = [key("a", KeyState::Active, NOW)];
    assert_eq!(rules.due(&keys, NOW + SETTLED - Duration::from_millis(1)), None, "replicas are being restarted");
    assert_eq!(rules.due(&keys, NOW + SETTLED), Some(Step::Announce));
}

#[test]
fn who_cannot_use_the_key_decides_nothing() {
    let mut keys = vec![key("a", KeyState::Active, NOW), key("b", KeyState::Pending, NOW)];
    keys[1].usable = false;
    assert_eq!(RULES.due(&keys, NOW + DAY), None, "a damaged key is not put to use");
    assert_eq!(RULES.due(&keys, NOW + RULES.every), Some(Step::Announce), "and holds up nothing");
    keys[0].usable = false;
    assert_eq!(RULES.due(&keys, NOW + 2 * RULES.every), None);
}

use std::sync::LazyLock;

use model::{ManualClock, SeededEntropy};
use proptest::prelude::*;

use super::*;
use crate::conformance::sealer;

/// One set for all cases: deriving keys is not what varies.
static TOKENS: LazyLock<SealedTokens> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let clock = Arc::new(ManualClock::at(NOW));
    runtime.block_on(async { SealedTokens::new(&sealer().await, clock, Arc::new(SeededEntropy::new(1))) })
});

const NOW: Timestamp = Timestamp::from_seconds(1_000);

fn kinds() -> impl Strategy<Value = TokenKind> {
    prop::sample::select(&TokenKind::ALL[..])
}

fn bindings() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..4)
}

fn parts(binding: &[Vec<u8>]) -> Vec<&[u8]> {
    binding.iter().map(Vec::as_slice).collect()
}

fn open(kind: TokenKind, binding: &[Vec<u8>], token: &str, now: Timestamp) -> Option<Vec<u8>> {
    TOKENS.open(kind, &parts(binding), token, now).map(|payload| payload.to_vec())
}

proptest! {
    #[test]
    fn opens_as_it_was_sealed_until_it_expires(
        kind in kinds(), binding in bindings(), payload: Vec<u8>, left in 1..1_000_000_i64,
    ) {
        let expires = Timestamp::from_millis(NOW.millis() + left);
        let token = TOKENS.seal(kind, &parts(&binding), &payload, expires);
        prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        prop_assert_eq!(open(kind, &binding, &token, NOW), Some(payload.clone()));
        let last = Timestamp::from_millis(expires.millis() - 1);
        prop_assert_eq!(open(kind, &binding, &token, last), Some(payload));
        prop_assert_eq!(open(kind, &binding, &token, expires), None);
    }

    #[test]
    fn opens_for_no_other_kind_or_binding(
        kind in kinds(), other in kinds(), binding in bindings(), wrong in bindings(), payload: Vec<u8>,
    ) {
        let token = TOKENS.seal(kind, &parts(&binding), &payload, Timestamp::from_seconds(2_000));
        prop_assert_eq!(open(other, &binding, &token, NOW).is_some(), kind == other);
        prop_assert_eq!(open(kind, &wrong, &token, NOW).is_some(), binding == wrong);
        // The same bytes, cut into parts elsewhere.
        prop_assert_eq!(open(kind, &[binding.concat()], &token, NOW).is_some(), binding.len() == 1);
    }

    #[test]
    fn no_changed_character_goes_unnoticed(payload: Vec<u8>, at: prop::sample::Index, to in "[A-Za-z0-9_-]") {
        let mut token = TOKENS.seal(TokenKind::Session, &[], &payload, Timestamp::from_seconds(2_000));
        let at = at.index(token.len());
        prop_assume!(token[at..=at] != to);
        token.replace_range(at..=at, &to);
        prop_assert_eq!(open(TokenKind::Session, &[], &token, NOW), None);
    }

    #[test]
    fn what_is_no_token_does_not_open(text: String, bytes: Vec<u8>) {
        prop_assert_eq!(open(TokenKind::Session, &[], &text, NOW), None);
        prop_assert_eq!(open(TokenKind::Session, &[], &URL_SAFE_NO_PAD.encode(bytes), NOW), None);
    }

    #[test]
    fn no_cut_goes_unnoticed(payload: Vec<u8>, at: prop::sample::Index) {
        let token = TOKENS.seal(TokenKind::Task, &[], &payload, Timestamp::from_seconds(2_000));
        prop_assert_eq!(open(TokenKind::Task, &[], &token[..at.index(token.len())], NOW), None);
    }
}

#[test]
fn two_tokens_for_one_thing_differ() {
    let seal = || TOKENS.seal(TokenKind::Session, &[b"a"], b"x", Timestamp::from_seconds(2_000));
    assert_ne!(seal(), seal());
}

#[test]
fn a_text_of_any_length_costs_little() {
    assert_eq!(open(TokenKind::Session, &[], &"A".repeat(LONGEST + 1), NOW), None);
}

use storage::repo::KeyChange;

use super::*;
use crate::trial::{REDIRECT, Trial};

const PATH: &str = "/t/acme/echo/mcp";

fn made(algorithm: SigningAlgorithm, state: KeyState) -> SigningKey {
    install_provider();
    let der = algorithm.generate().unwrap();
    SigningKey {
        kid: algorithm.public(&der).unwrap().common.key_id.unwrap(),
        algorithm: algorithm.to_string(),
        private: Some(Secret::new(STANDARD.encode(der.as_slice()))),
        state,
        created_at: Timestamp::from_seconds(1),
        changed_at: Timestamp::from_seconds(1),
        ends_at: None,
    }
}

#[test]
fn each_algorithm_signs_and_verifies_and_publishes_public_members_only() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Rs256] {
        let set = KeySet::new(&[made(algorithm, KeyState::Active)]);
        let token = set.sign(&serde_json::json!({ "a": 1 })).unwrap();
        let head = jsonwebtoken::decode_header(token.expose()).unwrap();
        assert_eq!((head.alg, head.typ.as_deref()), (algorithm.jose(), Some(ACCESS_TOKEN)));
        let verifier = set.verifier(&head.kid.unwrap()).unwrap();
        let (message, signature) = token.expose().rsplit_once('.').unwrap();
        let verify = |message: &str| {
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &verifier.key, algorithm.jose()).unwrap()
        };
        assert!(verify(message) && !verify(&message[1..]), "{algorithm}");
        let document: serde_json::Value = serde_json::from_slice(&set.document()).unwrap();
        let published = document["keys"][0].as_object().unwrap();
        let known = ["kty", "crv", "x", "y", "n", "e", "alg", "use", "kid"];
        assert!(published.keys().all(|name| known.contains(&name.as_str())), "{published:?}");
        assert_eq!((&published["alg"], &published["use"]), (&algorithm.as_str().into(), &"sig".into()));
    }
}

#[test]
fn a_damaged_key_stops_none_of_the_others() {
    let good = made(SigningAlgorithm::Es256, KeyState::Active);
    let closed = SigningKey { private: None, kid: "closed".to_owned(), ..good.clone() };
    let mut cut = made(SigningAlgorithm::Rs256, KeyState::Retiring);
    cut.private = Some(Secret::new("AAAA".to_owned()));
    let renamed = SigningKey { kid: "renamed".to_owned(), ..good.clone() };
    let odd = SigningKey { algorithm: "HS256".to_owned(), kid: "odd".to_owned(), ..good.clone() };
    let set = KeySet::new(&[closed, cut, good.clone(), renamed, odd]);
    assert!(set.sign(&serde_json::json!({})).is_ok());
    assert_eq!(set.verifying.keys().collect::<Vec<_>>(), [&good.kid]);
    assert_eq!(set.dates().iter().filter(|key| key.usable).count(), 1);
}

/// A token, and the same after its client refreshed.
async fn tokens(trial: &Trial) -> (String, String, String) {
    let client = trial.client(REDIRECT).await;
    let tokens = trial.tokens(&client).await;
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    (client, text("access_token"), text("refresh_token"))
}

async fn states(trial: &Trial) -> Vec<KeyState> {
    trial.auth.repos.signing.all().await.unwrap().iter().map(|key| key.state).collect()
}

#[tokio::test]
async fn keys_are_replaced_while_tokens_go_on() {
    let trial = Trial::new().await;
    trial.later(trial.auth.config.keys.every);
    trial.auth.tend_keys().await.unwrap();
    assert_eq!(states(&trial).await, [KeyState::Active, KeyState::Pending]);
    let (_, old, _) = tokens(&trial).await;
    let published = |trial: &Trial| {
        let document: serde_json::Value = serde_json::from_slice(&trial.auth.snapshot.keys().document()).unwrap();
        document["keys"].as_array().unwrap().len()
    };
    assert_eq!(published(&trial), 2, "before it signs");
    trial.auth.tend_keys().await.unwrap();
    assert_eq!(states(&trial).await, [KeyState::Active, KeyState::Pending], "not yet");
    trial.later(ANNOUNCED);
    trial.auth.tend_keys().await.unwrap();
    assert_eq!(states(&trial).await, [KeyState::Retiring, KeyState::Active]);
    let (_, new, _) = tokens(&trial).await;
    let kid = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    assert_ne!(kid(&old), kid(&new));
    assert_eq!((trial.status(&old, PATH), trial.status(&new, PATH)), (200, 200));
    trial.later(storage::TOMBSTONE_LIFE);
    trial.auth.tend_keys().await.unwrap();
    assert_eq!((states(&trial).await, published(&trial)), (vec![KeyState::Active], 1));
}

#[tokio::test]
async fn a_compromised_key_goes_with_its_tokens_and_clients_go_on() {
    let trial = Trial::new().await;
    let (client, token, refresh) = tokens(&trial).await;
    assert_eq!(trial.status(&token, PATH), 200, "it is remembered now");
    let rotated = trial.auth.rotation(&storage::repo::Actor::System).rotate(true).await.unwrap();
    let RotatedKey::Replaced { gone, .. } = rotated else { panic!("{rotated:?}") };
    assert_eq!(gone.len(), 1);
    trial.feed.sync().await.unwrap();
    assert_eq!(trial.status(&token, PATH), 401);
    let seen = trial.refresh(&client, &refresh).await;
    assert_eq!(trial.status(seen.json()["access_token"].as_str().unwrap(), PATH), 200);
}

#[tokio::test]
async fn a_damaged_only_key_is_replaced_by_asking_for_it() {
    let trial = Trial::new().await;
    let (client, token, refresh) = tokens(&trial).await;
    let keys = trial.auth.repos.signing.all().await.unwrap();
    // What does not open looks to everybody like a key without a private half.
    let change = KeyChange {
        add: vec![SigningKey { kid: "damaged".to_owned(), private: None, ..keys[0].clone() }],
        remove: vec![keys[0].kid.clone()],
        ..KeyChange::default()
    };
    let event = trial.auth.audit(storage::repo::Actor::System, "a", "b");
    let seen = [(keys[0].kid.clone(), KeyState::Active)];
    assert!(trial.auth.repos.signing.change(&seen, &change, keys[0].created_at, &event).await.unwrap());
    trial.feed.sync().await.unwrap();
    let answer = trial.refresh(&client, &refresh).await;
    assert_eq!((answer.status, answer.error().as_str()), (503, "temporarily_unavailable"), "and not invalid_grant");
    assert_eq!(trial.status(&token, PATH), 401);
    trial.later(trial.auth.config.keys.every);
    trial.auth.tend_keys().await.unwrap();
    assert_eq!(states(&trial).await.len(), 1, "nobody who cannot open it replaces it");

    let rotated = trial.auth.rotation(&storage::repo::Actor::System).rotate(false).await.unwrap();
    assert!(matches!(&rotated, RotatedKey::Replaced { gone, .. } if *gone == ["damaged"]), "{rotated:?}");
    trial.feed.sync().await.unwrap();
    assert_eq!(states(&trial).await, [KeyState::Active]);
}

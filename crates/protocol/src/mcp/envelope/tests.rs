use proptest::prelude::*;

use super::*;

fn parse(body: &str) -> Result<String, Malformed> {
    Envelope::parse(body.as_bytes()).map(|envelope| match envelope.message {
        Message::Request { id, method } => format!("request {id} {method}"),
        Message::Notification { method } => format!("notification {method}"),
        Message::Response { id, outcome } => {
            let outcome = outcome.map_or_else(|error| format!("error {error}"), |result| format!("result {result}"));
            format!("{} {outcome}", id.map_or("-", RawValue::get))
        }
    })
}

#[test]
fn the_three_messages() {
    for (body, seen) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request 1 ping"),
        (r#" {"method":"a\/b","id":"x\"y","jsonrpc":"2.0"} "#, r#"request "x\"y" a/b"#),
        (r#"{"jsonrpc":"2.0","id":-90071992547409930,"method":"m","x":[1]}"#, "request -90071992547409930 m"),
        (r#"{"jsonrpc":"2.0","method":"notifications/x","params":{}}"#, "notification notifications/x"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"a":null}}"#, r#"1 result {"a":null}"#),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#, r#"- error {"code":1}"#),
        (r#"{"jsonrpc":"2.0","error":{"code":1}}"#, r#"- error {"code":1}"#),
    ] {
        assert_eq!(parse(body).as_deref(), Ok(seen), "{body}");
    }
}

#[test]
fn what_is_no_message() {
    use Malformed::{Batch, NotAMessage, NotJson};
    let cases = [
        ("", NotJson),
        ("{", NotJson),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a"} x"#, NotJson),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\tb\"}", NotJson),
        (r#" [{"jsonrpc":"2.0","id":1,"method":"a"}]"#, Batch),
        ("[]", Batch),
        ("1", NotAMessage("")),
        (r#"{"id":1,"method":"a"}"#, NotAMessage("")),
        (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","id":1e3,"method":"a"}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","id":true,"method":"a"}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","id":1}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":1}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","result":1}"#, NotAMessage("")),
        // What another parser might read differently.
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","\u006dethod":"tools/call"}"#, NotAMessage("")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","paramſ":{}}"#, NotAMessage("")),
    ];
    for (body, fault) in cases {
        let seen = parse(body).expect_err(body);
        let same = std::mem::discriminant(&seen) == std::mem::discriminant(&fault);
        assert!(same, "{body}: {seen:?}");
    }
    let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"a"}}"#, "x".repeat(MAX_ID));
    assert!(matches!(parse(&long), Err(NotAMessage(_))));
}

#[test]
fn broken_text_is_not_json() {
    assert_eq!(Envelope::parse(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}").unwrap_err(), Malformed::NotJson);
}

#[test]
fn the_errors_have_their_codes() {
    assert_eq!(Malformed::NotJson.rpc_error().code, -32700);
    assert_eq!(Malformed::Batch.rpc_error().code, -32600);
    assert_eq!(Malformed::NotAMessage("x").rpc_error().code, -32600);
}

#[test]
fn params_are_looked_at_and_nothing_else() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","uri":7,"cursor":"",
        "arguments":{"name":"inner","_meta":1},"_meta":{"progressToken":3,"other":{}}}}"#;
    let envelope = Envelope::parse(body.as_bytes()).unwrap();
    let params = envelope.peek().unwrap();
    assert_eq!(params.name.and_then(text).as_deref(), Some("a"));
    assert_eq!(params.uri.and_then(text), None);
    assert_eq!(params.cursor.and_then(text).as_deref(), Some(""));
    assert_eq!(params.meta().unwrap().progress_token.unwrap().get(), "3");
    for ambiguous in [r#"{"name":"a","name":"b"}"#, r#"{"name":"a","NAME":"b"}"#, r#"["a"]"#, "1"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{ambiguous}}}"#);
        assert!(Envelope::parse(body.as_bytes()).unwrap().peek().is_none(), "{ambiguous}");
    }
}

proptest! {
    /// No bytes make the parser panic, and what it takes is what serde_json takes.
    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if Envelope::parse(&bytes).is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
    }

    /// Nothing is lost or changed of what we look at, whatever stands in it.
    #[test]
    fn strings_survive(id in ".{0,40}", method in ".{0,40}", name in ".{0,40}") {
        let body = serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": { "name": name } });
        let body = serde_json::to_vec(&body).unwrap();
        let envelope = Envelope::parse(&body).unwrap();
        prop_assert_eq!(text(envelope.id().unwrap()).unwrap(), id);
        prop_assert_eq!(envelope.method().unwrap().as_ref(), method);
        prop_assert_eq!(text(envelope.peek().unwrap().name.unwrap()).unwrap(), name);
    }
}

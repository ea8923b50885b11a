use proptest::prelude::*;

use super::*;

fn decode(bytes: &[u8]) -> Vec<Event> {
    let mut decoder = Decoder::new(1 << 20);
    decoder.push(bytes).unwrap();
    std::iter::from_fn(|| decoder.next_event()).collect()
}

fn show(bytes: &[u8]) -> String {
    let show = |event: &Event| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\n', "⏎");
        let id = event.id.as_deref().map(|id| format!("#{}", text(id))).unwrap_or_default();
        format!("{}{id}[{}]", text(&event.event), text(&event.data))
    };
    decode(bytes).iter().map(show).collect::<Vec<_>>().join(" ")
}

#[test]
fn reads_what_the_standard_says() {
    for (stream, events) in [
        ("data: a\n\n", "[a]"),
        ("data:a\n\ndata:  b\n\n", "[a] [ b]"),
        ("\u{feff}data: a\n\n", "[a]"),
        ("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[a] [b] [c]"),
        ("data: a\ndata\ndata: b\n\n", "[a⏎⏎b]"),
        ("event: message\nid: 7\ndata: {}\n\n", "message#7[{}]"),
        ("id\ndata: a\n\n", "#[a]"),
        ("id: a\0b\ndata: a\n\n", "[a]"),
        (": comment\n\n:\n\nretry: 10\nother: x\n\n", ""),
        ("event: x\n\ndata: a\n\n", "[a]"),
        ("data\n\n", "[]"),
        ("data: unfinished\n", ""),
        ("data: unfinished", ""),
    ] {
        assert_eq!(show(stream.as_bytes()), events, "{stream:?}");
    }
}

#[test]
fn an_event_has_a_limit_and_a_stream_has_none() {
    let mut decoder = Decoder::new(16);
    for _ in 0..100 {
        decoder.push(b"data: 0123456789\n\n").unwrap();
        assert_eq!(decoder.next_event().unwrap().data, b"0123456789");
    }
    assert_eq!(decoder.push(b"data: 0123456789x"), Err(TooLong));
    let mut lines = Decoder::new(16);
    assert_eq!(lines.push(b"data: 01234\ndata: 01234\ndata: 01234\n"), Err(TooLong));
}

#[test]
fn what_is_written_is_read_back() {
    let mut out = KEEP_ALIVE.to_vec();
    write_message(&mut out, b"{\"a\":\r\n1}");
    write_message(&mut out, b"{}");
    let events = decode(&out);
    assert_eq!(events.len(), 2);
    let message: serde_json::Value = serde_json::from_slice(&events[0].data).unwrap();
    assert_eq!(message, serde_json::json!({ "a": 1 }));
    assert!(events.iter().all(Event::is_message));
}

/// Wherever a stream breaks, what was unfinished is no message, and what follows is one.
#[test]
fn an_aborted_event_is_no_message() {
    let whole = b"event: message\r\nid: 1\ndata: {\"half\":\ndata: 1}\r\n\n";
    for cut in 0..whole.len() {
        let mut out = whole[..cut].to_vec();
        out.extend_from_slice(ABORT);
        write_message(&mut out, b"{}");
        let messages: Vec<_> = decode(&out).into_iter().filter(Event::is_message).collect();
        let complete = usize::from(decode(&whole[..cut]).len() == 1);
        assert_eq!(messages.len(), complete + 1, "cut at {cut}");
        assert_eq!(messages.last().unwrap().data, b"{}", "cut at {cut}");
    }
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("data: a"), Just("\n"), Just("\r"), Just("\r\n"), Just("\n\n"), Just("id: 1"), Just("event: x"),
                Just(":"), Just("data"), Just("\u{feff}"), Just("é"),
            ],
            0..40,
        ),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let stream: Vec<u8> = parts.concat().into_bytes();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let mut decoder = Decoder::new(1 << 20);
        let mut pieces = Vec::new();
        for pair in at.windows(2) {
            decoder.push(&stream[pair[0]..pair[1]]).unwrap();
            pieces.extend(std::iter::from_fn(|| decoder.next_event()));
        }
        prop_assert_eq!(pieces, decode(&stream));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), limit in 0_usize..64) {
        let mut decoder = Decoder::new(limit);
        for piece in bytes.chunks(7) {
            if decoder.push(piece).is_err() {
                break;
            }
            while let Some(event) = decoder.next_event() {
                prop_assert!(event.data.len() <= limit + 300);
            }
        }
    }
}

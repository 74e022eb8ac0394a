//! Tests of what is recorded of broken words.

use super::{Part, Repair, compact, event, message, run};
use crate::history::name::check_run_name;
use crate::limits::{EVENT_LENGTH_MAX_BYTES, MESSAGE_LENGTH_MAX_BYTES};

/// The recorded form of an event, and its repairs.
fn recorded(given: &[u8]) -> (String, Vec<Repair>) {
    let mut repairs = Vec::new();
    let kept = event(given, &mut repairs).unwrap_or_default();
    assert!(kept.len() <= EVENT_LENGTH_MAX_BYTES);
    (String::from_utf8(kept).unwrap(), repairs)
}

#[test]
fn an_event_without_fault_stays_as_it_is_but_for_white_space() {
    let given = b" {\n  \"b\" : 1.500e400,\
        \t\"a\": \"x \\\" { y\\\\\" , \"n\":[ 1 , 2 ], \"e\":\"\\ud83d\\ude00 \\u0000\"\r\n}\n";
    let wanted = "{\"b\":1.500e400,\"a\":\"x \\\" { y\\\\\",\"n\":[1,2],\"e\":\"\\ud83d\\ude00 \\u0000\"}";
    assert_eq!(recorded(given), (wanted.to_owned(), Vec::new()));
    assert_eq!(compact(given).unwrap(), wanted.as_bytes());
    let deep = ["{\"a\":".repeat(10_000), "1".to_owned(), "}".repeat(10_000)].concat();
    assert_eq!(recorded(deep.as_bytes()), (deep, Vec::new()));
}

#[test]
fn what_no_text_may_hold_is_replaced() {
    let replaced = vec![Repair::Replaced(Part::Event)];
    let cases: [(&[u8], &str); 7] = [
        (br#"{"a":"caf\ud83d"}"#, r#"{"a":"caf\ufffd"}"#),
        (br#"{"a":"\ude00\ud83d\ude00\ud83dx"}"#, r#"{"a":"\ufffd\ud83d\ude00\ufffdx"}"#),
        (br#"{"\ud83d":"\ud83d\u0041"}"#, r#"{"\ufffd":"\ufffd\u0041"}"#),
        (b"{\"a\":\"\xff\xfe\"}", "{\"a\":\"\u{fffd}\u{fffd}\"}"),
        (b"{\"a\":\"\0\n\x1b\"}", r#"{"a":"\u0000\u000a\u001b"}"#),
        (b"\xef\xbb\xbf{\"a\":\"\t\"}", r#"{"a":"\u0009"}"#),
        (b"{\"a\":\"\xff\\ud83d\"}", "{\"a\":\"\u{fffd}\\ufffd\"}"),
    ];
    for (given, wanted) in cases {
        assert_eq!(recorded(given), (wanted.to_owned(), replaced.clone()), "{}", given.escape_ascii());
        assert_eq!(recorded(wanted.as_bytes()).1, Vec::new(), "{wanted}");
    }
    assert_eq!(recorded(br#"{"a":"\\ud83d"}"#), (r#"{"a":"\\ud83d"}"#.to_owned(), Vec::new()), "no escape");
}

#[test]
fn what_is_no_object_is_kept_with_a_mark() {
    let no_object = [("[1, 2]", "[1,2]"), ("7", "7"), (" \"text\" ", "\"text\""), ("null", "null")];
    for (given, wanted) in no_object {
        let wanted = format!("{{\"retro:unparsed\":{wanted}}}");
        assert_eq!(recorded(given.as_bytes()), (wanted, vec![Repair::EventNoObject]), "{given}");
    }
    let no_json = ["{\"tool\":\"Bash\",\"input\":\"ls", "{} {}", "{\"a\":}", "make\n\0test", "{\"a\":\"\\", "\"\\u12"];
    for given in no_json {
        let (kept, repairs) = recorded(given.as_bytes());
        let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(kept, serde_json::json!({"retro:unparsed": given}));
        assert!(matches!(repairs[..], [Repair::EventUnparsed(_)]), "{given}: {repairs:?}");
    }
    for given in [&b""[..], b" \n", b"\xef\xbb\xbf"] {
        assert_eq!(recorded(given), (String::new(), vec![Repair::EventEmpty]));
    }
}

#[test]
fn what_is_too_long_is_cut_and_says_so() {
    let long = |length: usize| format!(r#"{{"tool":"Write","input":"{}","exit_code":0}}"#, "ä".repeat(length / 2));
    let at_limit = format!("{{\"a\":\"{}\"}}", "x".repeat(EVENT_LENGTH_MAX_BYTES - 8));
    assert_eq!(recorded(at_limit.as_bytes()), (at_limit.clone(), Vec::new()));
    let over = at_limit.replacen("{", "{ \"b\":1,", 1);
    let (kept, repairs) = recorded(over.as_bytes());
    let cut = |given: &str| vec![Repair::Cut { part: Part::Event, length_bytes: given.len() as u64 }];
    assert_eq!(repairs, cut(&over));
    assert!(kept.starts_with("{\"b\":1,\"a\":\"xxx") && kept.ends_with("x[cut by retro: 8388602 bytes]\"}"));
    let given = long(20 << 20);
    let (kept, repairs) = recorded(given.as_bytes());
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!((&kept["tool"], &kept["exit_code"], repairs), (&"Write".into(), &0.into(), cut(&given)));
    let numbers = format!("{{\"a\":[{}0]}}", "1,".repeat(EVENT_LENGTH_MAX_BYTES / 2));
    let (kept, repairs) = recorded(numbers.as_bytes());
    assert!(kept.starts_with("{\"retro:unparsed\":\"{\\\"a\\\":[1,1,") && repairs == cut(&numbers));
    let no_json = "\u{1}".repeat(3 << 20);
    let (kept, repairs) = recorded(no_json.as_bytes());
    assert!(kept.ends_with("[cut by retro: 3145728 bytes]\"}"));
    assert_eq!(repairs[1..], cut(&no_json));
}

#[test]
fn messages_are_cut_at_a_character() {
    let kept = |given: &[u8]| {
        let mut repairs = Vec::new();
        (message(given, &mut repairs), repairs)
    };
    let at_limit = "x".repeat(MESSAGE_LENGTH_MAX_BYTES);
    assert_eq!(kept(at_limit.as_bytes()), (at_limit.clone(), Vec::new()));
    let (cut, repairs) = kept("ä".repeat(MESSAGE_LENGTH_MAX_BYTES).as_bytes());
    assert!(cut.len() <= MESSAGE_LENGTH_MAX_BYTES && cut.ends_with("ä\n[cut by retro: 131072 bytes]"));
    assert_eq!(repairs, [Repair::Cut { part: Part::Message, length_bytes: 131_072 }]);
    assert_eq!(kept(b"a\xffb"), ("a\u{fffd}b".to_owned(), vec![Repair::Replaced(Part::Message)]));
}

#[test]
fn runs_get_the_nearest_name() {
    let long = format!("{}ä", "x".repeat(254));
    let cases: [(&[u8], &str); 10] = [
        (b"", "main"),
        (b"  ", "main"),
        (b"...", "main"),
        (b"my session", "my-session"),
        (b"a\tb\nc", "a-b-c"),
        (b"-x-", "x"),
        (b"a..b...c", "a.b.c"),
        (b"x\xff", "x\u{fffd}"),
        (long.as_bytes(), &long[..254]),
        (b"\x1b[31m", "[31m"),
    ];
    for (given, wanted) in cases {
        let mut repairs = Vec::new();
        let name = run(given, "main", &mut repairs);
        assert_eq!(name, wanted, "{}", given.escape_ascii());
        assert!(check_run_name(&name).is_ok() && !repairs.is_empty());
    }
    let mut repairs = Vec::new();
    assert_eq!((run(b"claude:7f", "main", &mut repairs), repairs), ("claude:7f".to_owned(), Vec::new()));
}

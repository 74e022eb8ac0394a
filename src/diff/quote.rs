//! Paths in patches, quoted as git quotes them: in double quotes with C escapes, where a byte needs it.
//!
//! Text that is valid UTF-8 stays as it is, as with git's `core.quotePath=false`; control characters, quotes,
//! backslashes and bytes that are not UTF-8 are escaped. Both git and GNU patch read either form.

/// Quotes `prefix` and `path` together where a line holds nothing after them but white space.
pub(super) fn quoted(prefix: &str, path: &[u8]) -> Vec<u8> {
    quoted_if(prefix, path, false)
}

/// Quotes `prefix` and `path` together for a header line, also when there is a space in them. Git leaves such names
/// bare, and GNU patch then cannot tell where the first of two ends.
pub(super) fn quoted_in_header(prefix: &str, path: &[u8]) -> Vec<u8> {
    quoted_if(prefix, path, path.contains(&b' '))
}

fn quoted_if(prefix: &str, path: &[u8], mut is_strange: bool) -> Vec<u8> {
    let mut out = prefix.as_bytes().to_vec();
    for part in path.utf8_chunks() {
        for character in part.valid().chars() {
            let mut buffer = [0; 4];
            let bytes = character.encode_utf8(&mut buffer).as_bytes();
            if character.is_control() || character == '"' || character == '\\' {
                is_strange = true;
                bytes.iter().for_each(|&byte| put_escaped(&mut out, byte));
            } else {
                out.extend_from_slice(bytes);
            }
        }
        is_strange |= !part.invalid().is_empty();
        part.invalid().iter().for_each(|&byte| put_escaped(&mut out, byte));
    }
    if is_strange {
        out.insert(0, b'"');
        out.push(b'"');
    }
    out
}

fn put_escaped(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        7 => b'a',
        8 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        11 => b'v',
        12 => b'f',
        b'\r' => b'r',
        b'"' | b'\\' => byte,
        _ => return out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
    };
    out.extend_from_slice(&[b'\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::{quoted, quoted_in_header};

    #[test]
    fn only_strange_names_are_quoted() {
        let shown = |path: &[u8]| String::from_utf8(quoted("a/", path)).unwrap();
        assert_eq!(shown(b"src/plain name.rs"), "a/src/plain name.rs");
        assert_eq!(quoted_in_header("a/", b"plain name"), b"\"a/plain name\"");
        assert_eq!(quoted_in_header("a/", b"plain"), b"a/plain");
        assert_eq!(shown("gr\u{fc}n/\u{65e5}".as_bytes()), "a/gr\u{fc}n/\u{65e5}");
        assert_eq!(shown(b"tab\there"), r#""a/tab\there""#);
        assert_eq!(shown(b"\"\\\n\r\x07\x08\x0b\x0c\x1b\x7f"), r#""a/\"\\\n\r\a\b\v\f\033\177""#);
        assert_eq!(shown(b"caf\xe9 x"), r#""a/caf\351 x""#);
        assert_eq!(shown("\u{9b}m".as_bytes()), r#""a/\302\233m""#);
    }
}

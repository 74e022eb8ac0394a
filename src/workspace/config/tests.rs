//! Tests of `retro.toml`: sizes, defaults, and what is refused with which words.

use std::path::Path;

use super::{Config, load, load_file, parse, parse_size};
use crate::error::ErrorKind;
use crate::limits::CONFIG_LENGTH_MAX_BYTES;
use crate::workspace::beneath::Root;

fn parsed(text: &str) -> crate::error::Result<Config> {
    parse(text, Path::new("retro.toml"))
}

#[test]
fn all_fields_are_read_and_missing_ones_have_defaults() {
    let text = r#"
        [capture]
        exclude = ["*.iso"]
        include = ["vendor/"]
        default_excludes = false
        max_file_bytes = "2 GiB"
        max_files = 10
        max_bytes = 4_096
        [retention]
        budget_bytes = "1.5 GB"
    "#;
    let config = parsed(text).unwrap();
    assert_eq!(config.capture.exclude, ["*.iso"]);
    assert_eq!(config.capture.limits().file_bytes_max, Some(2 << 30));
    assert_eq!((config.capture.max_files, config.capture.max_bytes), (10, 4_096));
    assert_eq!(config.retention.budget_bytes, Some(1_500_000_000));
    assert!(config.capture.rule_options(Vec::new()).without_defaults);
    assert_eq!(parsed("").unwrap(), Config::default());
    assert!(Config::default().capture.default_excludes);
}

#[test]
fn sizes_are_read_exactly() {
    for (text, expected) in [
        ("0", Some(0)),
        ("4096", Some(4_096)),
        ("64 KiB", Some(65_536)),
        ("64KiB", Some(65_536)),
        ("1.5 MiB", Some(1_572_864)),
        ("0.001 kB", Some(1)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("16777216 TiB", None),
        ("1 K", None),
        ("-1", None),
        ("1.", None),
        (".5 MB", None),
        ("1.2.3", None),
        ("", None),
        ("many", None),
        ("100000000000000000000000000000000000000000 TB", None),
    ] {
        assert_eq!(parse_size(text), expected, "{text}");
    }
}

#[test]
fn refusals_name_the_line() {
    for (text, words) in [
        ("[capture]\nexlude = []\n", "line 2: unknown field `exlude`"),
        ("[capture]\n\nmax_bytes = \"big\"\n", "line 3: invalid value: string \"big\""),
        ("[capture]\nmax_bytes = -1\n", "line 2: invalid value"),
        ("x", "line 1: "),
        ("[other]", "line 1: unknown field `other`"),
    ] {
        let error = parsed(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().starts_with("read configuration retro.toml: "), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn gitignore_is_refused_rather_than_passed_over_where_git_is_unknown() {
    let options = |text| parsed(text).map(|config| config.capture.rule_options(Vec::new()).gitignore);
    assert_eq!(options("[capture]\ngitignore = false").ok(), Some(false));
    let on = options("[capture]\ngitignore = true");
    if cfg!(feature = "git") {
        assert_eq!(on.ok(), Some(true));
    } else {
        let error = on.unwrap_err();
        assert!(error.kind() == ErrorKind::Unsupported && error.hint().is_some());
    }
}

#[expect(clippy::disallowed_methods, reason = "tests make their own workspaces")]
#[test]
fn what_is_no_readable_text_file_is_refused_without_blocking() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::open(folder.path()).unwrap();
    let path = folder.path().join("retro.toml");
    assert_eq!(load(&root).unwrap(), Config::default());
    assert_eq!(load_file(&path).unwrap_err().kind(), ErrorKind::NotFound);

    std::fs::write(folder.path().join("real.toml"), "[capture]\nmax_files = 3").unwrap();
    std::os::unix::fs::symlink("real.toml", &path).unwrap();
    assert_eq!(load(&root).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(load_file(&path).unwrap().capture.max_files, 3);
    std::fs::remove_file(&path).unwrap();

    rustix::fs::mkfifoat(root.handle(), "retro.toml", rustix::fs::Mode::RWXU).unwrap();
    assert_eq!(load(&root).unwrap_err().kind(), ErrorKind::Invalid);
    std::fs::remove_file(&path).unwrap();

    let limit = usize::try_from(CONFIG_LENGTH_MAX_BYTES).unwrap();
    std::fs::write(&path, " ".repeat(limit)).unwrap();
    assert!(load(&root).is_ok());
    std::fs::write(&path, " ".repeat(limit + 1)).unwrap();
    assert_eq!(load(&root).unwrap_err().kind(), ErrorKind::Limit);
    std::fs::write(&path, b"# \xff").unwrap();
    assert_eq!(load(&root).unwrap_err().kind(), ErrorKind::Invalid);
}

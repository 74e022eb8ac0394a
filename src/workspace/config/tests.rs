//! Tests of `retro.toml`: sizes, defaults, and the messages of refusals.

use std::path::Path;

use super::{Config, Notice, load, load_file, parse, parse_size, store};
use crate::error::ErrorKind;
use crate::limits::CONFIG_LENGTH_MAX_BYTES;
use crate::workspace::beneath::Root;

fn parsed(text: &str) -> crate::error::Result<Config> {
    parse(text, Path::new("retro.toml"), &mut Vec::new())
}

fn notices(text: &str) -> Vec<Notice> {
    let mut notices = Vec::new();
    parse(text, Path::new("retro.toml"), &mut notices).unwrap();
    notices
}

#[test]
fn all_fields_are_read_and_missing_ones_have_defaults() {
    let text = r#"
        [capture]
        exclude = ["*.iso"]
        include = ["vendor/"]
        default_excludes = false
        max_file_bytes = "2 GiB"
        max_files = 8_000_000
        max_bytes = "1 TiB"
    "#;
    let config = parsed(text).unwrap();
    assert_eq!(config.capture.exclude, ["*.iso"]);
    assert_eq!(config.capture.limits().file_bytes_max, Some(2 << 30));
    assert_eq!((config.capture.max_files, config.capture.max_bytes), (8_000_000, 1 << 40));
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
        ("[capture]\n\nmax_bytes = \"big\"\n", "line 3: invalid value: string \"big\""),
        ("[capture]\nmax_bytes = -1\n", "line 2: invalid value"),
        ("x", "line 1: "),
        ("[capture]\nexlude = []\nexclude = 1\n", "line 3: invalid type"),
        ("[capture]\nexclude = [\"a[\"]\n", "compile pattern `a[`"),
        ("capture = 1", "line 1: invalid type"),
        ("<<<<<<< HEAD\n[capture]\n", "line 1: "),
    ] {
        let error = parsed(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().starts_with("read configuration retro.toml: "), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn unknown_settings_are_reported_and_the_others_apply() {
    let file = || Path::new("retro.toml").to_owned();
    let text =
        "extra = 1\n[capture]\nexlude = []\nexclude = [\"a\"]\nmax_files = 1\n[retention]\nbudget_bytes = 1\n[other]";
    let found = notices(text);
    let unknown = |key: &str| Notice::UnknownKey { file: file(), key: key.to_owned() };
    let wanted = [
        unknown("capture.exlude"),
        unknown("extra"),
        unknown("other"),
        Notice::StoreKey { file: file(), key: "retention.budget_bytes".to_owned() },
        Notice::LowCap { file: file(), key: "capture.max_files".to_owned() },
    ];
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    assert!(wanted.iter().all(|notice| found.contains(notice)), "{found:?}");
    let config = parsed(text).unwrap();
    assert_eq!(
        (config.capture.exclude, config.capture.max_files),
        (vec!["a".to_owned()], Config::default().capture.max_files)
    );
    for table in store::TABLES {
        assert!(matches!(notices(&format!("[{table}]\nx = 1\n"))[..], [Notice::StoreKey { .. }]), "{table}");
    }
}

#[test]
fn a_build_without_git_reports_that_gitignore_has_no_effect() {
    let gitignore = |text| parsed(text).map(|config| config.capture.rule_options(Vec::new()).gitignore);
    assert_eq!(gitignore("[capture]\ngitignore = false").ok(), Some(false));
    assert_eq!(gitignore("[capture]\ngitignore = true").ok(), Some(cfg!(feature = "git")));
    let is_reported =
        notices("[capture]\ngitignore = true") == [Notice::NoGit { file: Path::new("retro.toml").to_owned() }];
    assert_eq!(is_reported, cfg!(not(feature = "git")));
}

#[test]
fn settings_come_back_from_the_rules_that_they_make() {
    let text = "[capture]\nexclude = [\"*.iso\"]\ninclude = [\"target/\"]\nmax_file_bytes = 10\nmax_files = 8_000_000\n\
                one_file_system = true\nonly = [\"/a/\"]\n";
    let rules =
        |config: &Config| crate::workspace::rules::Rules::new(&config.capture.rule_options(Vec::new())).unwrap();
    for text in ["", text, "[capture]\ndefault_excludes = false\n"] {
        let config = parsed(text).unwrap();
        let again = Config::of_rules(rules(&config).text()).unwrap();
        assert_eq!(rules(&again).text(), rules(&config).text());
        assert_eq!(again.capture.limits(), config.capture.limits());
    }
    let unstoppable = parsed(text).unwrap().without_stops();
    assert_eq!(unstoppable.capture.limits().files_max, u64::MAX);
    assert!(rules(&unstoppable).text().contains("< max_files 8000000\n"));
}

#[expect(clippy::disallowed_methods, reason = "tests make their own stores")]
#[test]
fn the_settings_of_a_store_count_only_where_nobody_else_can_write_them() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let budget = |notices: &mut Vec<Notice>| store::load(folder.path(), notices).retention.budget_bytes;
    assert_eq!(budget(&mut Vec::new()), None);
    std::fs::write(&path, "[retention]\nbudget_bytes = \"1.5 GB\"\n[chekcs]\n").unwrap();
    for (mode, counts) in [(0o600, true), (0o644, true), (0o620, false), (0o602, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut notices = Vec::new();
        assert_eq!(budget(&mut notices), counts.then_some(1_500_000_000), "{mode:o}");
        assert_eq!(matches!(notices[..], [Notice::UnknownKey { .. }]), counts, "{notices:?}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    for text in ["[retention]\nbudget = 1\n", "<<<<<<<", "retention = 1"] {
        std::fs::write(&path, text).unwrap();
        let mut notices = Vec::new();
        assert_eq!(budget(&mut notices), None);
        assert!(matches!(notices[..], [Notice::StoreUnusable { .. }]), "{text}: {notices:?}");
    }
}

#[expect(clippy::disallowed_methods, reason = "tests make their own workspaces")]
#[test]
fn settings_that_are_no_text_file_are_refused_without_blocking() {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::open(folder.path()).unwrap();
    let path = folder.path().join("retro.toml");
    let load = |root: &Root| load(root, &mut Vec::new());
    assert_eq!(load(&root).unwrap(), Config::default());
    assert_eq!(load_file(&path).unwrap_err().kind(), ErrorKind::NotFound);

    std::fs::write(folder.path().join("real.toml"), "[capture]\nmax_file_bytes = 3").unwrap();
    std::os::unix::fs::symlink("real.toml", &path).unwrap();
    assert_eq!(load(&root).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(load_file(&path).unwrap().capture.max_file_bytes, Some(3));
    std::fs::write(folder.path().join("named.toml"), "[capture]\nexlude = []").unwrap();
    assert_eq!(load_file(&folder.path().join("named.toml")).unwrap_err().kind(), ErrorKind::Invalid);
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

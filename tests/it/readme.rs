//! The session in README.md is run, and prints what README.md says, ids, times and durations aside.

use std::process::Command;

use crate::support::scratch::Scratch;

const README: &str = include_str!("../../README.md");

/// Commands and the lines they print.
fn session() -> Vec<(String, Vec<String>)> {
    let block = README.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a session");
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in block.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command.to_owned(), Vec::new())),
            None => commands.last_mut().expect("the session begins with a command").1.push(line.to_owned()),
        }
    }
    commands
}

/// A line with what differs from run to run replaced.
fn normal(line: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_id = bare.len() == 8 && bare.chars().all(|c| c.is_ascii_hexdigit());
        let is_date = bare.len() == 10 && bare.matches('-').count() == 2;
        let is_time = bare.len() == 8 && bare.matches(':').count() == 2;
        if is_id {
            word.replace(bare, "ID")
        } else if is_date || is_time {
            "TIME".to_owned()
        } else {
            word.to_owned()
        }
    };
    let words: Vec<String> = line.split(' ').map(word).collect();
    let line = words.join(" ");
    match line.strip_suffix(" ms").and_then(|rest| rest.rsplit_once(' ')) {
        Some((rest, millis)) if millis.parse::<u64>().is_ok() => format!("{rest} N ms"),
        _ => line,
    }
}

#[test]
fn the_session_prints_what_the_readme_says() {
    let scratch = Scratch::new();
    let top = scratch.path().canonicalize().unwrap();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_retro")).parent().unwrap();
    let session = session();
    assert!(session.len() >= 10);
    let mut script = String::from("exec 2>&1\n");
    for (command, _) in &session {
        script += &format!("echo '@@@'\n{command}\n");
    }
    let output = Command::new("/bin/sh")
        .args(["-euc", &script])
        .current_dir(&top)
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", binary.display()))
        .env("HOME", top.join("home"))
        .env("RETRO_STORE", top.join("the-store"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let store = top.join("the-store").display().to_string();
    let text = text.replace(&store, "$STORE").replace(&top.display().to_string(), "$WS");
    let printed: Vec<&str> = text.split("@@@\n").skip(1).collect();
    assert_eq!(printed.len(), session.len());
    for ((command, wanted), found) in session.iter().zip(printed) {
        let found: Vec<String> = found.lines().map(normal).collect();
        let wanted: Vec<String> = wanted.iter().map(|line| normal(line)).collect();
        assert_eq!(found, wanted, "$ {command}");
    }
}

/// The commands of the other blocks are not run, but the shell can read them, and each verb and option exists.
#[test]
fn every_other_command_could_be_run() {
    let mut blocks = README.split("```");
    let mut commands = 0;
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        let Some(script) = block.strip_prefix("sh\n") else { continue };
        let parsed = Command::new("bash").args(["-n", "-c", script]).output().expect("bash is there");
        assert!(parsed.status.success(), "{script}\n{}", String::from_utf8_lossy(&parsed.stderr));
        for line in script.lines() {
            let line = line.split(" #").next().expect("split gives one part at least");
            for command in line.split(['|', '(', ')']).filter_map(|part| part.trim().strip_prefix("retro ")) {
                let verb = command.split(' ').next().expect("split gives one part at least");
                let help = Command::new(env!("CARGO_BIN_EXE_retro")).args([verb, "--help"]).output().unwrap();
                assert!(help.status.success(), "`retro {command}`: there is no such verb");
                let help = String::from_utf8(help.stdout).expect("help is text");
                let options = command.split(' ').filter(|word| word.starts_with('-') && !matches!(*word, "-" | "--"));
                for option in options {
                    let known = help.split_whitespace().any(|word| word.trim_end_matches(',') == option);
                    assert!(known, "`retro {command}`: {verb} has no {option}");
                }
                commands += 1;
            }
        }
    }
    assert!(commands >= 15, "only {commands} commands were found");
}

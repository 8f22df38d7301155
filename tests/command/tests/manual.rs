//! What shells and `man` are told of the command.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use end_to_end::sprat;

#[test]
fn every_subcommand_has_a_manual_page_but_those_that_nobody_is_to_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let done = sprat(folder.path(), ["man", "man1"]);
    assert!(done.good, "{}", done.errors);
    let help = sprat(folder.path(), ["--help"]).output;
    let (_, listed) = help.split_once("Commands:\n").expect("subcommands");
    let named = listed.lines().take_while(|line| !line.is_empty());
    let named = named.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = named
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"up") && names.len() > 20, "{names:?}");
    for name in names.iter().filter(|name| **name != "help") {
        let page = folder.path().join(format!("man1/sprat-{name}.1"));
        let page = fs::read_to_string(page).unwrap_or_else(|error| panic!("{name}: {error}"));
        // man(7): the title, and the section with the name that `apropos` looks for.
        assert!(
            page.contains("\n.TH ") || page.starts_with(".TH "),
            "{name}: {page}"
        );
        assert!(page.contains(".SH NAME"), "{name}");
    }
    assert!(folder.path().join("man1/sprat.1").exists());
    assert!(!folder.path().join("man1/sprat-lane.1").exists());

    fs::write(folder.path().join("file"), "").expect("written");
    let refused = sprat(folder.path(), ["man", "file"]);
    assert!(
        !refused.good && refused.errors.starts_with("error: file: "),
        "{}",
        refused.errors
    );
}

#[test]
fn bash_reads_its_completions_and_completes_a_subcommand() {
    let done = sprat(Path::new("/"), ["completions", "bash"]);
    assert!(done.good, "{}", done.errors);
    let mut bash = Command::new("bash")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash starts");
    let ask =
        "COMP_WORDS=(sprat ste); COMP_CWORD=1; _sprat sprat ste sprat; echo \"${COMPREPLY[@]}\"";
    let mut input = bash.stdin.take().expect("a pipe");
    write!(input, "{}\n{ask}\n", done.output).expect("it reads");
    drop(input);
    let said = bash.wait_with_output().expect("it ends").stdout;
    assert_eq!(String::from_utf8_lossy(&said), "steer\n");
    let refused = sprat(Path::new("/"), ["completions", "sh"]);
    assert!(
        !refused.good && refused.errors.contains("bash"),
        "{}",
        refused.errors
    );
}

//! `cargo xtask docs-elements`: the reference of elements, from the manual pages in the sources.
//!
//! An element's manual page is the doc comment of the type that its class constructs. One file of
//! `docs/elements/` holds a family; `README.md` there lists every class, with its tests
//! ([`crate::element_tests`]). That no class lacks a page or tests is checked by `cargo xtask test`.

use crate::element_tests::Tests;
use crate::report::Report;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Result;
use std::path::Path;

/// A class and its manual page.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    class: String,
    text: Option<String>,
}

/// Writes docs/elements/.
///
/// # Errors
/// The sources cannot be read or the files not written.
pub(crate) fn write() -> Result<bool> {
    let folder = crate::root().join("docs/elements");
    std::fs::create_dir_all(&folder)?;
    let files = files()?;
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !files.contains_key(&name) {
            std::fs::remove_file(&path)?;
        }
    }
    for (name, text) in &files {
        std::fs::write(folder.join(name), text)?;
    }
    println!("wrote {} files in {}", files.len(), folder.display());
    Ok(true)
}

/// That every class has a page. Files that are behind the sources are named and not failed: the
/// reference is written anew for a release, not with every element.
///
/// # Errors
/// The sources cannot be read.
pub(crate) fn check() -> Result<Report> {
    let mut report = Report::default();
    let folder = crate::root().join("docs/elements");
    for (name, text) in files()? {
        if std::fs::read_to_string(folder.join(&name)).unwrap_or_default() != text {
            report.skipped.push(format!(
                "docs/elements/{name} is behind the sources: cargo xtask docs-elements"
            ));
        }
    }
    let tests = Tests::read()?;
    let pages: Vec<Page> = families()?.into_values().flatten().collect();
    for page in &pages {
        let lacks = |what: &str| format!("element {} has no {what}", page.class);
        report.add(Report::of(&lacks("manual page"), page.text.is_some()));
        let (unit, golden) = (unit_tests(&tests, page, &pages), tests.golden(&page.class));
        report.add(Report::of(&lacks("unit test"), unit > 0));
        report.add(Report::of(&lacks("golden test"), golden > 0));
    }
    Ok(report)
}

/// What the folder should hold: file names and contents.
fn files() -> Result<BTreeMap<String, String>> {
    let families = families()?;
    let mut files = BTreeMap::new();
    let tests = Tests::read()?;
    let mut index = String::from(
        "# Elements\n\nGenerated from the sources by `cargo xtask docs-elements`. Tests: how many unit tests are about the class or another name of its implementation, and how many golden cases in `crates/elements/tests/golden`.\n\n| class | family | what it does | unit tests | golden tests |\n|---|---|---|---|---|\n",
    );
    let mut rows = Vec::new();
    for (family, pages) in &families {
        let mut text = format!("# Elements: {family}\n");
        for whole @ Page { class, text: page } in pages {
            let unit = unit_tests(&tests, whole, pages);
            let page = page.as_deref().unwrap_or("No manual page yet.");
            let first = page
                .split("\n\n")
                .next()
                .unwrap_or_default()
                .replace('\n', " ");
            let summary = first
                .split_once(": ")
                .map_or(&*first, |(_, rest)| rest)
                .trim_end_matches('.');
            rows.push((
                class.to_lowercase(),
                format!(
                    "| [{class}]({family}.md#{}) | {family} | {summary} | {unit} | {} |\n",
                    class.to_lowercase(),
                    tests.golden(class)
                ),
            ));
            let _ = write!(text, "\n## {class}\n\n{page}\n");
        }
        files.insert(format!("{family}.md"), text);
    }
    rows.sort();
    index.extend(rows.into_iter().map(|(_, row)| row));
    files.insert("README.md".to_owned(), index);
    Ok(files)
}

/// How many unit tests are about a class, or about one that shares its page and so its implementation.
fn unit_tests(tests: &Tests, page: &Page, pages: &[Page]) -> usize {
    pages
        .iter()
        .filter(|other| other.text.is_some() && other.text == page.text)
        .map(|other| tests.unit(&other.class))
        .max()
        .unwrap_or(0)
}

/// Every class, by family: one folder of the element library each.
fn families() -> Result<BTreeMap<String, Vec<Page>>> {
    let mut families = BTreeMap::new();
    for entry in std::fs::read_dir(crate::root().join("crates/elements/src"))? {
        let path = entry?.path();
        if path.is_dir() {
            let mut sources = String::new();
            read_sources(&path, &mut sources)?;
            let pages = pages(&sources);
            let family = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !pages.is_empty() {
                families.insert(family, pages);
            }
        }
    }
    Ok(families)
}

fn read_sources(folder: &Path, into: &mut String) -> Result<()> {
    let mut paths = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read_sources(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("tests.rs")
        {
            into.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// The classes of the sources: those that a doc comment's first sentence names (`A, B: what they
/// do`), with that comment, and those that are constructed and named by none.
fn pages(sources: &str) -> Vec<Page> {
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (at, _) in sources.match_indices("Class::of::<") {
        let rest = &sources[at..];
        let name = rest
            .split_once(">(")
            .and_then(|(_, rest)| rest.trim_start().strip_prefix('"')?.split('"').next());
        if let Some(name) = name {
            found.insert(name.to_owned(), None);
        }
    }
    // Some families have a function that makes their classes.
    for start in [".named(\"", "= class(\"", ">(\""] {
        for (at, _) in sources.match_indices(start) {
            let begin = sources[..at].rfind([';', '}']).map_or(0, |end| end + 1);
            let constant = &sources[begin..at + start.len()];
            let made = [": Class = class", ": Class =\n    class"];
            if start != ".named(\"" && !made.iter().any(|how| constant.contains(how)) {
                continue;
            }
            let rest = &sources[at + start.len()..];
            found.insert(rest.split('"').next().unwrap_or_default().to_owned(), None);
        }
    }
    let comments = doc_comments(sources);
    for comment in &comments {
        for class in named_classes(comment) {
            found.insert(class.to_owned(), Some(comment.clone()));
        }
    }
    // Another name for a class is explained on that class's page.
    for (class, text) in found.iter_mut().filter(|(_, text)| text.is_none()) {
        let mut pages = comments
            .iter()
            .filter(|comment| !named_classes(comment).is_empty());
        *text = pages
            .find(|page| {
                page.split(|c: char| !c.is_ascii_alphanumeric())
                    .any(|word| word == class)
            })
            .cloned();
    }
    found
        .into_iter()
        .map(|(class, text)| Page { class, text })
        .collect()
}

/// Doc comments, each as the text that Markdown sees.
fn doc_comments(sources: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in sources.lines().chain([""]) {
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text.strip_prefix(' ').unwrap_or(text));
        } else if !comment.is_empty() {
            found.push(std::mem::take(&mut comment).join("\n"));
        }
    }
    found
}

/// The names before the colon of a manual page's first sentence; none where it is no manual page.
fn named_classes(comment: &str) -> Vec<&str> {
    let Some((names, _)) = comment.split_once(':') else {
        return Vec::new();
    };
    let names: Vec<&str> = names
        .split([',', '\n'])
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let is_class = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    // A page shows how the element is written, in a block of Click.
    if names.iter().all(is_class) && comment.contains("```click") {
        names
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "Idle, Lazy:\ndo nothing.\n\n```click\nIdle()\n```";
    const MADE: &str = "pub(super) const QUICK: Class = class::<Quick>(\"Quick\");\nconst NAT: Class = class(\"Nat\");";
    const SOURCES: &str = "\
pub(super) const IDLE: Class = Class::of::<Idle>(\"Idle\").ports(\"-/-\");
const BARE: Class = Class::of::<Bare>(
    \"Bare\",
);

/// Idle, Lazy:
/// do nothing.
///
/// ```click
/// Idle()
/// ```
#[derive(Default)]
struct Idle;

/// Note: not a page.
struct Bare;
";

    #[test]
    fn classes_that_a_function_makes_are_found() {
        let found = pages(MADE);
        let names: Vec<&str> = found.iter().map(|page| &*page.class).collect();
        assert_eq!(names, ["Nat", "Quick"]);
    }

    #[test]
    fn a_page_is_the_comment_whose_first_sentence_names_the_class() {
        let page = |class: &str, text: Option<&str>| Page {
            class: class.to_owned(),
            text: text.map(str::to_owned),
        };
        assert_eq!(
            pages(SOURCES),
            [
                page("Bare", None),
                page("Idle", Some(PAGE)),
                page("Lazy", Some(PAGE))
            ]
        );
    }
}

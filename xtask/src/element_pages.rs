//! `cargo xtask docs-elements`: the reference of elements, from the manual pages in the sources.
//!
//! An element's manual page is the doc comment of the type that its class constructs. One file of
//! `docs/elements/` holds a family; `README.md` there lists every class. That the files are up to
//! date and that no class lacks a page is checked by `cargo xtask test`.

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

/// That docs/elements/ is what the sources say, and that every class has a page.
///
/// # Errors
/// The sources cannot be read.
pub(crate) fn check() -> Result<Report> {
    let mut report = Report::default();
    let folder = crate::root().join("docs/elements");
    for (name, text) in files()? {
        let current = std::fs::read_to_string(folder.join(&name)).unwrap_or_default() == text;
        report.add(Report::of(
            &format!("docs/elements/{name} is out of date: cargo xtask docs-elements"),
            current,
        ));
    }
    for page in families()?.into_values().flatten() {
        report.add(Report::of(
            &format!("element {} has no manual page", page.class),
            page.text.is_some(),
        ));
    }
    Ok(report)
}

/// What the folder should hold: file names and contents.
fn files() -> Result<BTreeMap<String, String>> {
    let families = families()?;
    let mut files = BTreeMap::new();
    let mut index = String::from(
        "# Elements\n\nGenerated from the sources by `cargo xtask docs-elements`.\n\n| class | family | what it does |\n|---|---|---|\n",
    );
    let mut rows = Vec::new();
    for (family, pages) in &families {
        let mut text = format!("# Elements: {family}\n");
        for Page { class, text: page } in pages {
            let page = page.as_deref().unwrap_or("No manual page yet.");
            let summary = page.lines().next().unwrap_or_default();
            let summary = summary
                .split_once(": ")
                .map_or(summary, |(_, rest)| rest)
                .trim_end_matches('.');
            rows.push((
                class.to_lowercase(),
                format!(
                    "| [{class}]({family}.md#{}) | {family} | {summary} |\n",
                    class.to_lowercase()
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

/// Every class, by family: one folder of the element library each.
fn families() -> Result<BTreeMap<String, Vec<Page>>> {
    let mut families = BTreeMap::new();
    for entry in std::fs::read_dir(crate::root().join("crates/elements/src"))? {
        let path = entry?.path();
        if path.is_dir() {
            let mut sources = String::new();
            read_sources(&path, &mut sources)?;
            let mut pages = pages(&sources);
            pages.sort_by(|a, b| a.class.cmp(&b.class));
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

/// The classes that the sources construct, with the doc comments of the types they name.
fn pages(sources: &str) -> Vec<Page> {
    let documented = documented_types(sources);
    let mut found = Vec::new();
    for (at, _) in sources.match_indices("Class::of::<") {
        let rest = &sources[at + "Class::of::<".len()..];
        let Some((kind, rest)) = rest.split_once(">(") else {
            continue;
        };
        let Some(name) = rest
            .trim_start()
            .strip_prefix('"')
            .and_then(|rest| rest.split('"').next())
        else {
            continue;
        };
        let kind = kind.split(['<', ':']).next().unwrap_or(kind).trim();
        found.push(Page {
            class: name.to_owned(),
            text: documented.get(kind).cloned(),
        });
    }
    found
}

/// The doc comments that stand before types, by the type's name.
fn documented_types(sources: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in sources.lines() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text.strip_prefix(' ').unwrap_or(text));
        } else if !line.starts_with("#[") {
            let words = line
                .trim_start_matches("pub ")
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub(super) ");
            let name = words
                .strip_prefix("struct ")
                .or_else(|| words.strip_prefix("type "))
                .or_else(|| words.strip_prefix("enum "));
            if let Some(name) = name
                && !comment.is_empty()
            {
                let name: String = name
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                found.insert(name, comment.join("\n"));
            }
            comment.clear();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &str = "\
pub(super) const IDLE: Class = Class::of::<Idle>(\"Idle\").ports(\"-/-\");
const LAZY: Class = Class::of::<Idle>(
    \"Lazy\",
);
const BARE: Class = Class::of::<Bare>(\"Bare\");

/// Idle: does nothing.
///
/// Ever.
#[derive(Default)]
struct Idle;

struct Bare;
";

    #[test]
    fn a_page_is_the_doc_comment_of_the_type_that_a_class_constructs() {
        let text = Some("Idle: does nothing.\n\nEver.".to_owned());
        assert_eq!(
            pages(SOURCES),
            [
                Page {
                    class: "Idle".to_owned(),
                    text: text.clone()
                },
                Page {
                    class: "Lazy".to_owned(),
                    text
                },
                Page {
                    class: "Bare".to_owned(),
                    text: None
                },
            ]
        );
    }
}

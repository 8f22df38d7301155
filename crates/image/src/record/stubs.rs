//! Stand-ins for crates that cargo wants to know of and the compiler never sees: those for other
//! systems, and optional ones that nobody turned on.

use std::collections::{BTreeMap, BTreeSet};

use semver::{Op, Version, VersionReq};
use toml::{Table, Value};

use super::crates::{Crate, Lock};
use super::manifests;
use super::stage::Files;

/// What was asked of crates that are not there: by name and version, the features.
#[derive(Default)]
pub(super) struct Stubs(BTreeMap<(String, Version), BTreeSet<String>>);

/// One dependency, as a manifest states it.
struct Wanted {
    name: String,
    versions: VersionReq,
    features: BTreeSet<String>,
}

impl Stubs {
    /// Adds what a manifest wants and none of the crates is. `lent` is what its workspace lends.
    pub(super) fn add(
        &mut self,
        manifest: &Table,
        lent: Option<&Table>,
        crates: &[Crate],
        lock: &Lock,
    ) {
        let mut wanted = Vec::new();
        manifests::each_table(manifest, &mut |table| {
            wanted.extend(table.iter().filter_map(|(key, dependency)| {
                let features = features_of(manifest, key);
                read(key, dependency, lent, features)
            }));
        });
        for one in wanted {
            let is_there = |krate: &Crate| {
                krate.name == one.name
                    && krate
                        .version
                        .parse()
                        .is_ok_and(|version| one.versions.matches(&version))
            };
            if crates.iter().any(is_there) {
                continue;
            }
            let locked = lock
                .versions(&one.name)
                .filter_map(|text| text.parse().ok());
            let version = locked
                .filter(|version| one.versions.matches(version))
                .max()
                .unwrap_or_else(|| least(&one.versions));
            self.0
                .entry((one.name, version))
                .or_default()
                .extend(one.features);
        }
    }

    /// Their files: a manifest, and a library with nothing in it.
    pub(super) fn files(&self, files: &mut Files) {
        for ((name, version), features) in &self.0 {
            let folder = format!("vendor/{name}-{version}");
            let text = |value: &str| Value::from(value);
            let package = [
                ("name", text(name)),
                ("version", text(&version.to_string())),
                ("edition", text("2021")),
                (
                    "description",
                    text("stands for a crate that is not compiled"),
                ),
            ];
            let package = Table::from_iter(package.map(|(key, value)| (key.to_owned(), value)));
            let none = || Value::Array(Vec::new());
            let features = features.iter().map(|feature| (feature.clone(), none()));
            let manifest = Table::from_iter([
                ("package".to_owned(), Value::from(package)),
                (
                    "features".to_owned(),
                    Value::from(Table::from_iter(features)),
                ),
            ]);
            files.insert(
                format!("{folder}/Cargo.toml"),
                manifest.to_string().into_bytes(),
            );
            files.insert(format!("{folder}/src/lib.rs"), Vec::new());
            let checksum = b"{\"files\":{},\"package\":null}".to_vec();
            files.insert(format!("{folder}/.cargo-checksum.json"), checksum);
        }
    }
}

/// A dependency, if it is one of a registry.
fn read(
    key: &str,
    dependency: &Value,
    lent: Option<&Table>,
    mut features: BTreeSet<String>,
) -> Option<Wanted> {
    let mut add = |table: &Table| {
        let list = table.get("features").and_then(Value::as_array);
        let list = list.into_iter().flatten().filter_map(Value::as_str);
        features.extend(list.map(str::to_owned));
    };
    let mut stated = dependency;
    if let Some(table) = dependency.as_table() {
        add(table);
        if table.get("workspace").and_then(Value::as_bool) == Some(true) {
            stated = lent?.get(key)?;
        }
    }
    let (name, version) = match stated {
        Value::String(version) => (key, version.as_str()),
        Value::Table(table) => {
            if table.contains_key("path") || table.contains_key("git") {
                return None;
            }
            add(table);
            let text = |key: &str| table.get(key).and_then(Value::as_str);
            (text("package").unwrap_or(key), text("version")?)
        }
        _ => return None,
    };
    Some(Wanted {
        name: name.to_owned(),
        versions: version.parse().ok()?,
        features,
    })
}

/// The features of a dependency that a manifest's own features turn on: `KEY/FEATURE`.
fn features_of(manifest: &Table, key: &str) -> BTreeSet<String> {
    let lists = manifest.get("features").and_then(Value::as_table);
    let lists = lists
        .into_iter()
        .flatten()
        .filter_map(|(_, list)| list.as_array());
    let words = lists.flatten().filter_map(Value::as_str);
    words
        .filter_map(|word| word.split_once('/'))
        .filter(|(name, _)| name.trim_end_matches('?') == key)
        .map(|(_, feature)| feature.to_owned())
        .collect()
}

/// The least version that a requirement names; of several the one that the others let through.
fn least(wanted: &VersionReq) -> Version {
    let named = wanted.comparators.iter().map(|one| {
        let (minor, patch) = (one.minor.unwrap_or(0), one.patch.unwrap_or(0));
        let mut version = Version::new(one.major, minor, patch);
        version.pre = one.pre.clone();
        if one.op == Op::Greater {
            version.patch += 1;
        }
        version
    });
    let zero = Version::new(0, 0, 0);
    let fits = named
        .chain([zero.clone()])
        .filter(|version| wanted.matches(version));
    fits.min().unwrap_or(zero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_stub_has_the_version_and_the_features_that_are_wanted() {
        let manifest: Table = "[features]\nfast = [\"windows/Fast\", \"other?/Never\"]\n\
             [dependencies]\nlog = \"0.4\"\n\
             [target.'cfg(windows)'.dependencies]\n\
             windows = { package = \"windows-sys\", version = \">=0.52, <0.62\", features = [\"Win\"] }\n"
            .parse()
            .expect("a manifest");
        let log = Crate {
            name: "log".into(),
            version: "0.4.35".into(),
            checksum: None,
            uses: BTreeSet::new(),
        };
        let lock = "[[package]]\nname = \"windows-sys\"\nversion = \"0.59.0\"\n";
        let lock = Lock::read(Path::new("Cargo.lock"), lock.as_bytes()).expect("a lock file");
        let mut stubs = Stubs::default();
        stubs.add(&manifest, None, &[log], &lock);
        let mut files = Files::new();
        stubs.files(&mut files);
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "vendor/windows-sys-0.59.0/.cargo-checksum.json",
                "vendor/windows-sys-0.59.0/Cargo.toml",
                "vendor/windows-sys-0.59.0/src/lib.rs",
            ]
        );
        let stub = String::from_utf8_lossy(&files["vendor/windows-sys-0.59.0/Cargo.toml"]);
        assert!(
            stub.contains("Fast = []") && stub.contains("Win = []"),
            "{stub}"
        );
        assert!(!stub.contains("Never"), "{stub}");
    }

    #[test]
    fn without_a_lock_file_s_word_the_version_is_the_least_that_fits() {
        let cases = [
            ("1", "1.0.0"),
            ("^0.52.3", "0.52.3"),
            (">=0.52, <0.62", "0.52.0"),
            (">1.2.3", "1.2.4"),
            ("<2", "0.0.0"),
            ("*", "0.0.0"),
            ("=1.0.0-rc.1", "1.0.0-rc.1"),
        ];
        for (wanted, version) in cases {
            let wanted = wanted.parse().expect("a requirement");
            assert_eq!(least(&wanted).to_string(), version, "{wanted}");
        }
    }
}

//! Control groups: what each tenant may take of the machine, all its lanes together.
//!
//! Where the daemon is root and the kernel has a hierarchy with memory and processor time, version 2
//! or 1 (Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/), each tenant has a group
//! there. It is not beneath the daemon's own, because lanes outlive the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use crate::desired::{Desired, Limits, tenant_of};
use crate::folders::Folders;

/// Processor time is dealt out anew after so many microseconds: who has had all of its own waits no
/// longer than that.
const PERIOD: u32 = 20_000;

/// How often a group that still has a process is tried to be removed.
const TRIES: u32 = 40;
const BETWEEN_TRIES: Duration = Duration::from_millis(25);

/// The folders that tenants have theirs in.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tree {
    /// Of version 2: one for everything.
    Unified(PathBuf),
    /// Of version 1: one for each thing.
    Separate { memory: PathBuf, processor: PathBuf },
}

/// A setting: the file, and what is written there.
type Setting = (PathBuf, String);

impl Tree {
    /// Finds where groups can be made, in the kernel's list of what is mounted (proc(5), mountinfo).
    fn find(mounts: &str, name: &str) -> Option<Self> {
        let mounted = |wanted: &str, option: &str| {
            mounts.lines().find_map(|line| {
                let (before, after) = line.split_once(" - ")?;
                let mut after = after.split(' ');
                let kind = after.next()?;
                let options = after.nth(1)?;
                let fits = kind == wanted && options.split(',').any(|it| it == option);
                let place = Path::new(before.split(' ').nth(4)?);
                (fits || kind == wanted && option.is_empty()).then(|| place.to_owned())
            })
        };
        let offers = |root: &PathBuf| {
            let controllers = fs::read_to_string(root.join("cgroup.controllers"));
            let controllers = controllers.unwrap_or_default();
            let mut controllers = controllers.split_whitespace();
            controllers.clone().any(|it| it == "memory") && controllers.any(|it| it == "cpu")
        };
        if let Some(root) = mounted("cgroup2", "").filter(offers) {
            return Some(Self::Unified(root.join(name)));
        }
        Some(Self::Separate {
            memory: mounted("cgroup", "memory")?.join(name),
            processor: mounted("cgroup", "cpu")?.join(name),
        })
    }

    fn folders(&self) -> Vec<&Path> {
        match self {
            Self::Unified(folder) => vec![folder],
            Self::Separate { memory, processor } => vec![memory, processor],
        }
    }

    /// Makes the group of a tenant.
    fn make(&self, tenant: &str) -> io::Result<()> {
        for folder in self.folders() {
            if let Self::Unified(_) = self {
                fs::create_dir_all(folder)?;
                for folder in [folder.parent().unwrap_or(folder), folder] {
                    write(&folder.join("cgroup.subtree_control"), "+memory +cpu")?;
                }
            }
            fs::create_dir_all(folder.join(tenant))?;
        }
        Ok(())
    }

    fn settings(&self, tenant: &str, limits: Limits) -> Vec<Setting> {
        let Limits { memory, processors } = limits;
        let quota = processors.map(|thousandths| u64::from(thousandths) * u64::from(PERIOD) / 1000);
        match self {
            Self::Unified(folder) => {
                let or_all = |limit: Option<u64>| limit.map_or("max".into(), |it| it.to_string());
                let file = |name: &str| folder.join(tenant).join(name);
                let mut settings = vec![
                    (file("memory.max"), or_all(memory)),
                    (file("cpu.max"), format!("{} {PERIOD}", or_all(quota))),
                ];
                // What is over the limit is not to be written out instead. Where nothing can be, the
                // file is not there.
                let swap = file("memory.swap.max");
                if swap.exists() {
                    let limit = memory.map_or("max", |_| "0");
                    settings.push((swap, limit.into()));
                }
                settings
            }
            Self::Separate {
                memory: of_memory,
                processor,
            } => {
                let or_all = |limit: Option<u64>| limit.map_or("-1".into(), |it| it.to_string());
                let [memory_files, processor_files] =
                    [of_memory, processor].map(|folder| folder.join(tenant));
                vec![
                    (memory_files.join("memory.limit_in_bytes"), or_all(memory)),
                    (
                        processor_files.join("cpu.cfs_period_us"),
                        PERIOD.to_string(),
                    ),
                    (processor_files.join("cpu.cfs_quota_us"), or_all(quota)),
                ]
            }
        }
    }

    /// The file that counts processes ended for want of memory.
    fn ended_file(&self, tenant: &str) -> PathBuf {
        match self {
            Self::Unified(folder) => folder.join(tenant).join("memory.events"),
            Self::Separate { memory, .. } => memory.join(tenant).join("memory.oom_control"),
        }
    }
}

/// Writes one of the kernel's files, and names it where that fails.
fn write(file: &Path, text: &str) -> io::Result<()> {
    fs::write(file, text)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

/// Removes groups but those of these tenants; whether none is left. The kernel lets nobody remove one
/// that something runs in.
fn remove_others(folder: &Path, tenants: &BTreeSet<&str>) -> bool {
    let mut all = true;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_group = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let stays = entry
            .file_name()
            .to_str()
            .is_none_or(|name| tenants.contains(name));
        if is_group && !stays {
            all &= fs::remove_dir(entry.path()).is_ok();
        }
    }
    if tenants.is_empty() {
        all &= fs::remove_dir(folder).is_ok() || !folder.exists();
    }
    all
}

/// The groups of a daemon's tenants.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    tree: Result<Tree, &'static str>,
}

impl Groups {
    /// Finds where groups can be made. That there is no such place counts where limits are declared.
    pub(super) fn open(folders: &Folders) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let name = format!("sprat{}", folders.run.display()).replace('/', "-");
        let tree = match rustix::process::geteuid().is_root() {
            true => Tree::find(&mounts, &name)
                .ok_or("no hierarchy of control groups with memory and processor time is mounted"),
            false => Err("the daemon is not root, and may not make control groups"),
        };
        Self { tree }
    }

    /// Makes the groups of all tenants, and sets their limits.
    ///
    /// # Errors
    /// A limit that is declared cannot be set.
    pub(super) fn set(&self, desired: &Desired) -> Result<(), String> {
        let lanes = desired.lanes();
        let tenants = lanes
            .iter()
            .map(|lane| (tenant_of(lane), Limits::default()));
        let mut limits: BTreeMap<&str, Limits> = tenants.collect();
        for (tenant, declared) in &desired.tenants {
            limits.insert(tenant, *declared);
        }
        for (tenant, limits) in limits {
            let is_declared = limits != Limits::default();
            match self.set_one(tenant, limits) {
                Err(error) if is_declared => {
                    return Err(format!(
                        "tenants.{tenant} cannot be kept to its limits: {error}"
                    ));
                }
                // Then there are no groups, and none is needed.
                _ => {}
            }
        }
        Ok(())
    }

    fn set_one(&self, tenant: &str, limits: Limits) -> Result<(), String> {
        let tree = self.tree.as_ref().map_err(|why| (*why).to_string())?;
        let set = || -> io::Result<()> {
            tree.make(tenant)?;
            let mut settings = tree.settings(tenant, limits).into_iter();
            settings.try_for_each(|(file, text)| write(&file, &text))
        };
        set().map_err(|error| error.to_string())
    }

    /// Puts a lane that has just begun into its tenant's group, with all that it starts from now on.
    pub(super) fn admit(&self, lane: &str, process: u32) {
        for folder in self.tree.iter().flat_map(Tree::folders) {
            // Without a group there are no limits either.
            let _ = fs::write(
                folder.join(tenant_of(lane)).join("cgroup.procs"),
                process.to_string(),
            );
        }
    }

    /// Removes the groups of tenants that nothing is declared of; what cannot be removed yet because
    /// a process is still about to end is tried again, for a little while.
    pub(super) async fn tidy(&self, desired: &Desired) {
        let lanes = desired.lanes();
        let tenants: BTreeSet<&str> = lanes.iter().map(|lane| tenant_of(lane)).collect();
        for _ in 0..TRIES {
            let folders = self.tree.iter().flat_map(Tree::folders);
            let left = folders.filter(|folder| !remove_others(folder, &tenants));
            if left.count() == 0 {
                return;
            }
            sleep(BETWEEN_TRIES).await;
        }
    }

    /// How many processes of a lane's tenant the kernel has ended for want of memory.
    pub(super) fn ended_for_memory(&self, lane: &str) -> u64 {
        let Ok(tree) = &self.tree else {
            return 0;
        };
        let text = fs::read_to_string(tree.ended_file(tenant_of(lane))).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Limits = Limits {
        memory: Some(64 << 20),
        processors: Some(1500),
    };

    #[test]
    fn version_2_is_used_where_it_has_what_is_needed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().display();
        let mounts = format!(
            "30 23 0:26 / {root} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
             31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             32 23 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        );
        let separate = Tree::Separate {
            memory: "/sys/fs/cgroup/memory/sprat-run".into(),
            processor: "/sys/fs/cgroup/cpu/sprat-run".into(),
        };
        assert_eq!(Tree::find(&mounts, "sprat-run"), Some(separate));
        let offered = folder.path().join("cgroup.controllers");
        fs::write(&offered, "cpuset cpu io memory pids\n").expect("written");
        let unified = Tree::Unified(folder.path().join("sprat-run"));
        assert_eq!(Tree::find(&mounts, "sprat-run"), Some(unified));
        assert_eq!(
            Tree::find("1 0 8:1 / / rw - ext4 /dev/root rw\n", "sprat"),
            None
        );
    }

    #[test]
    fn limits_are_what_the_kernel_reads() {
        let tree = Tree::Unified("/cgroup/sprat".into());
        let settings = |tree: &Tree, limits| -> Vec<_> {
            let settings = tree.settings("acme", limits).into_iter();
            settings
                .map(|(file, text)| format!("{} {text}", file.display()))
                .collect()
        };
        let expected = [
            "/cgroup/sprat/acme/memory.max 67108864",
            "/cgroup/sprat/acme/cpu.max 30000 20000",
        ];
        assert_eq!(settings(&tree, BOTH), expected);
        let expected = [
            "/cgroup/sprat/acme/memory.max max",
            "/cgroup/sprat/acme/cpu.max max 20000",
        ];
        assert_eq!(settings(&tree, Limits::default()), expected);
        let tree = Tree::Separate {
            memory: "/memory/sprat".into(),
            processor: "/cpu/sprat".into(),
        };
        let expected = [
            "/memory/sprat/acme/memory.limit_in_bytes 67108864",
            "/cpu/sprat/acme/cpu.cfs_period_us 20000",
            "/cpu/sprat/acme/cpu.cfs_quota_us 30000",
        ];
        assert_eq!(settings(&tree, BOTH), expected);
    }
}

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::arguments::unquote;
use sprat_click::{Arguments, Class, Configuration, Configure, Element, Phase, Rejected};

pub(super) const SPINLOCK_INFO: Class = Class::of::<SpinlockInfo>("SpinlockInfo")
    .ports("0/0")
    .phase(Phase::Information);
pub(super) const SPINLOCK_ACQUIRE: Class = Class::of::<Spinlock>("SpinlockAcquire");
pub(super) const SPINLOCK_RELEASE: Class = SPINLOCK_ACQUIRE.named("SpinlockRelease");

/// SpinlockInfo: gives locks names.
///
/// ```click
/// SpinlockInfo(NAME, ...)
/// ```
///
/// Each NAME is one that SpinlockAcquire and SpinlockRelease may use.
///
/// See Click's manual page SpinlockInfo(n).
struct SpinlockInfo {
    names: Vec<String>,
}

impl Configure for SpinlockInfo {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let names = arguments.rest().iter().map(|name| unquote(name)).collect();
        Ok(Self { names })
    }
}

impl Element for SpinlockInfo {}

/// SpinlockAcquire, SpinlockRelease: pass packets on.
///
/// ```click
/// SpinlockAcquire(LOCK)
/// SpinlockRelease(LOCK)
/// ```
///
/// In Click they keep threads apart from each other. A router here runs on one thread: LOCK must be one
/// of a SpinlockInfo, and decides nothing.
///
/// See Click's manual pages SpinlockAcquire(n) and SpinlockRelease(n).
struct Spinlock;

impl Configure for Spinlock {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let lock = arguments.required::<String>("LOCK");
        arguments.finish()?;
        let lock = lock?;
        let defines = |info: &mut SpinlockInfo| info.names.contains(&lock);
        let known = configuration
            .elements()
            .any(|id| configuration.with(id, defines) == Some(true));
        if !known {
            return Err(arguments.error(format!("spinlock '{lock}' not defined")));
        }
        Ok(Self)
    }
}

impl Element for Spinlock {}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn packets_pass_between_locks_that_are_defined() {
        let bench = Bench::new(
            "SpinlockInfo(a, b); InfiniteSource(LIMIT 3) -> SpinlockAcquire(b)
             -> c :: Counter -> SpinlockRelease(b) -> Discard",
        );
        bench.run();
        assert_eq!(bench.read("c.count"), "3");
        let errors = Bench::errors("SpinlockInfo(a); Idle -> SpinlockAcquire(b) -> Idle");
        assert!(errors.contains("spinlock 'b' not defined"), "{errors}");
    }
}

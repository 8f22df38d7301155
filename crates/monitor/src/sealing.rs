//! What the kernel offers a process that gives things up for good: a filter of its system calls, and
//! Landlock. Instances under the process monitor and the processes that hold instances both stand
//! behind them.

use std::collections::BTreeMap;
use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreated, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::memory::SystemError;

/// The calls that a filter is about, each with the arguments for which it is: any, where there are no
/// rules.
#[derive(Default)]
pub(crate) struct Calls(BTreeMap<i64, Vec<SeccompRule>>);

fn failed(error: seccompiler::BackendError) -> SystemError {
    SystemError::new("making the system call filter", io::Error::other(error))
}

/// A condition that an argument is this number.
pub(crate) fn is(
    argument: u8,
    length: SeccompCmpArgLen,
    value: u64,
) -> Result<SeccompCondition, SystemError> {
    SeccompCondition::new(argument, length, SeccompCmpOp::Eq, value).map_err(failed)
}

/// A condition that of an argument the bits of `mask` are these.
pub(crate) fn has(argument: u8, mask: u64, bits: u64) -> Result<SeccompCondition, SystemError> {
    let compare = SeccompCmpOp::MaskedEq(mask);
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, compare, bits).map_err(failed)
}

impl Calls {
    /// Adds calls with any arguments.
    pub(crate) fn add(&mut self, numbers: &[i64]) {
        self.0
            .extend(numbers.iter().map(|number| (*number, Vec::new())));
    }

    /// Adds a call for which all of these conditions hold.
    pub(crate) fn add_where(
        &mut self,
        number: i64,
        conditions: Vec<SeccompCondition>,
    ) -> Result<(), SystemError> {
        let rule = SeccompRule::new(conditions).map_err(failed)?;
        self.0.entry(number).or_default().push(rule);
        Ok(())
    }

    /// The filter that does `these` with the calls and `others` with all others.
    pub(crate) fn filter(
        self,
        these: SeccompAction,
        others: SeccompAction,
    ) -> Result<BpfProgram, SystemError> {
        let filter = SeccompFilter::new(self.0, others, these, TargetArch::x86_64);
        BpfProgram::try_from(filter.map_err(failed)?).map_err(failed)
    }
}

/// A Landlock ruleset that forbids all it can; `None` where the kernel knows no Landlock.
pub(crate) fn no_files() -> Option<RulesetCreated> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(ABI::V6)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(ABI::V6)))
        .and_then(Ruleset::create)
        .ok()
}

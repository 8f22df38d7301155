//! What is left to an instance's process: two operations on one futex, and ending itself.

use crate::memory::SystemError;
use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::os::fd::OwnedFd;

fn failed(call: &'static str) -> impl Fn(seccompiler::BackendError) -> SystemError {
    move |error| SystemError::new(call, std::io::Error::other(error))
}

/// The filter as the kernel takes it: waiting and waking on the futex at `turn`, and `exit_group`. Any
/// other call stops the process with SIGSYS, which the tracer reports.
pub(super) fn system_calls(turn: u64) -> Result<Vec<u8>, SystemError> {
    let failed = failed("making the system call filter");
    let equals = |argument, value: u64, length| {
        SeccompCondition::new(argument, length, SeccompCmpOp::Eq, value)
    };
    let operation = |operation: i32| {
        SeccompRule::new(vec![
            equals(0, turn, SeccompCmpArgLen::Qword)?,
            equals(
                1,
                u64::from(operation.unsigned_abs()),
                SeccompCmpArgLen::Dword,
            )?,
        ])
    };
    let rules = || {
        let futex = vec![operation(libc::FUTEX_WAIT)?, operation(libc::FUTEX_WAKE)?];
        let rules = [(libc::SYS_futex, futex), (libc::SYS_exit_group, vec![])];
        let (others, these) = (SeccompAction::Trap, SeccompAction::Allow);
        let filter = SeccompFilter::new(
            rules.into_iter().collect(),
            others,
            these,
            TargetArch::x86_64,
        )?;
        BpfProgram::try_from(filter)
    };
    let program = rules().map_err(&failed)?;
    Ok(program
        .iter()
        .flat_map(|instruction| {
            let [c0, c1] = instruction.code.to_le_bytes();
            let [k0, k1, k2, k3] = instruction.k.to_le_bytes();
            [c0, c1, instruction.jt, instruction.jf, k0, k1, k2, k3]
        })
        .collect())
}

/// A Landlock ruleset that forbids all it can; `None` where the kernel knows no Landlock.
pub(super) fn no_files() -> Option<OwnedFd> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(ABI::V6)))
        .and_then(Ruleset::create)
        .ok()?;
    ruleset.into()
}

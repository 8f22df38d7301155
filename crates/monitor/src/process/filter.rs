//! What is left to an instance's process: two operations on one futex, and ending itself.

use seccompiler::{SeccompAction, SeccompCmpArgLen};

use crate::memory::SystemError;
use crate::sealing::{Calls, is};

/// The filter as the kernel takes it: waiting and waking on the futex at `turn`, and `exit_group`. Any
/// other call stops the process with SIGSYS, which the tracer reports.
pub(super) fn system_calls(turn: u64) -> Result<Vec<u8>, SystemError> {
    let mut calls = Calls::default();
    calls.add(&[libc::SYS_exit_group]);
    for operation in [libc::FUTEX_WAIT, libc::FUTEX_WAKE] {
        let operation = u64::from(operation.unsigned_abs());
        let conditions = vec![
            is(0, SeccompCmpArgLen::Qword, turn)?,
            is(1, SeccompCmpArgLen::Dword, operation)?,
        ];
        calls.add_where(libc::SYS_futex, conditions)?;
    }
    let program = calls.filter(SeccompAction::Allow, SeccompAction::Trap)?;
    Ok(program
        .iter()
        .flat_map(|instruction| {
            let [c0, c1] = instruction.code.to_le_bytes();
            let [k0, k1, k2, k3] = instruction.k.to_le_bytes();
            [c0, c1, instruction.jt, instruction.jf, k0, k1, k2, k3]
        })
        .collect())
}

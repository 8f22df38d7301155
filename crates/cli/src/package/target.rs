//! What packages are built for.

/// What a package is built for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    /// A sealed image, which a monitor holds.
    #[default]
    Vm,
    /// An ordinary Linux program, for a debugger to look into.
    Unix,
    /// A sealed image that machines boot by themselves.
    Disk,
}

//! The monitors that hold one sealed instance each: KVM, or a process under seccomp.

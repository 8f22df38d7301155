//! Instances under both monitors: that they run, yield, exit, and get what they were granted.

use crate::testing::{Elf, guest};
use crate::*;
use std::time::{Duration, Instant};

pub(crate) const BUDGET: Duration = Duration::from_secs(2);

/// Runs a test under each monitor there is.
pub(crate) fn with_each(test: impl Fn(&dyn Monitor)) {
    match VmMonitor::open() {
        Ok(monitor) => test(&monitor),
        Err(error) => eprintln!("the vm monitor is left out: {error}"),
    }
    test(&ProcessMonitor::new());
}

pub(crate) fn start(monitor: &dyn Monitor, code: &[u8]) -> Box<dyn Instance> {
    start_with(monitor, code, &Options::default())
}

pub(crate) fn start_with(
    monitor: &dyn Monitor,
    code: &[u8],
    options: &Options,
) -> Box<dyn Instance> {
    let image = Image::load(&Elf::new(code).bytes()).expect("a sound image");
    monitor.create(&image, options).expect("created")
}

guest!(
    counts_yields,
    "mov rbx, rdi",
    "mov r12, [rbx + 40]",
    "mov qword ptr [r12], 1000",
    "call [rbx + 24]",
    "mov r13, rdx",
    "mov qword ptr [r12], 2000",
    "call [rbx + 24]",
    "mov edi, 1",
    "cmp rdx, r13",
    "jb 1f",
    "mov edi, 7",
    "1: call [rbx + 32]",
);

#[test]
fn an_instance_yields_with_its_deadlines_and_exits_with_its_status() {
    with_each(|monitor| {
        let mut instance = start(monitor, counts_yields());
        let outcome = instance.enter(BUDGET, false);
        assert!(
            matches!(outcome, Ok(Outcome::Yielded { deadline: 1000 })),
            "{outcome:?}"
        );
        assert!(matches!(
            instance.enter(BUDGET, false),
            Ok(Outcome::Yielded { deadline: 2000 })
        ));
        let outcome = instance.enter(BUDGET, false);
        assert!(
            matches!(outcome, Ok(Outcome::Exited { status: 7 })),
            "{outcome:?}"
        );
        assert!(matches!(
            instance.enter(BUDGET, false),
            Err(MonitorError::Ended)
        ));
    });
}

guest!(round_trips, "mov rbx, rdi", "1: call [rbx + 24]", "jmp 1b");

guest!(spins, "1: pause", "jmp 1b");

#[test]
fn an_instance_that_spins_runs_out_of_its_budget_and_can_go_on() {
    with_each(|monitor| {
        let mut instance = start(monitor, spins());
        for _ in 0..3 {
            let start = Instant::now();
            let budget = Duration::from_millis(20);
            let outcome = instance.enter(budget, false);
            assert!(matches!(outcome, Ok(Outcome::OutOfBudget)), "{outcome:?}");
            assert!(start.elapsed() >= budget);
            assert!(
                start.elapsed() < Duration::from_millis(500),
                "{:?}",
                start.elapsed()
            );
        }
    });
}

guest!(
    exits_with_garbage,
    "mov rax, [rdi + 40]",
    "mov rbx, rdi",
    "mov edi, 0x80000001",
    "call [rbx + 32]"
);

#[test]
fn any_status_is_passed_on() {
    with_each(|monitor| {
        let outcome = start(monitor, exits_with_garbage()).enter(BUDGET, false);
        assert!(
            matches!(
                outcome,
                Ok(Outcome::Exited {
                    status: -2147483647
                })
            ),
            "{outcome:?}"
        );
    });
}

// Sums the image's data, `.bss` and constants: 1 + ... + 255 = 32640, 'c' = 99; and writes to all that
// can be written.
guest!(
    uses_its_memory,
    "mov rbx, rdi",
    "mov esi, 0x1004000",
    "xor eax, eax",
    "xor edx, edx",
    "1: movzx ecx, byte ptr [rsi]",
    "add eax, ecx",
    "mov byte ptr [rsi], 0",
    "inc rsi",
    "inc edx",
    "cmp edx, 0x2000",
    "jb 1b",
    "movzx ecx, byte ptr [0x1002000]",
    "add eax, ecx",
    "mov rsi, [rbx + 72]",
    "add rax, [rsi]",
    "mov [rsi], rax",
    "mov edi, eax",
    "call [rbx + 32]",
);

#[test]
fn instances_of_one_image_have_their_own_data() {
    with_each(|monitor| {
        let image = Image::load(&Elf::new(uses_its_memory()).bytes()).expect("a sound image");
        for _ in 0..3 {
            let mut instance = monitor
                .create(&image, &Options::default())
                .expect("created");
            let outcome = instance.enter(BUDGET, false);
            assert!(
                matches!(outcome, Ok(Outcome::Exited { status: 32739 })),
                "{outcome:?}"
            );
        }
    });
}

// Exits with the first byte of the first device's file, plus the configuration's and the parameters'.
guest!(
    reads_what_it_was_given,
    "mov rbx, rdi",
    "mov rax, [rbx + 240]",
    "mov rsi, [rax + 32]",
    "movzx edi, byte ptr [rsi]",
    "mov rsi, [rbx + 208]",
    "movzx eax, byte ptr [rsi]",
    "add edi, eax",
    "mov rsi, [rbx + 224]",
    "movzx eax, byte ptr [rsi]",
    "add edi, eax",
    "call [rbx + 32]",
);

#[test]
fn a_granted_file_configuration_and_parameters_arrive() {
    use std::io::Write;
    with_each(|monitor| {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"\x01 and more").expect("written");
        let options = Options {
            configuration: b"\x10nfiguration".to_vec(),
            parameters: vec![("\x40".into(), "value".into())],
            devices: vec![Grant {
                name: "a.txt".into(),
                device: GrantedDevice::InputFile(file),
            }],
            ..Options::default()
        };
        let mut instance = start_with(monitor, reads_what_it_was_given(), &options);
        let outcome = instance.enter(BUDGET, false);
        assert!(
            matches!(outcome, Ok(Outcome::Exited { status: 0x51 })),
            "{outcome:?}"
        );
    });
}

#[test]
fn a_granted_file_that_shrinks_ends_the_instance_that_reads_it_and_nothing_else() {
    with_each(|monitor| {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(8192).expect("grown");
        let handle = file.try_clone().expect("another handle");
        let device = GrantedDevice::InputFile(file);
        let options = Options {
            configuration: b"x".to_vec(),
            parameters: vec![("x".into(), String::new())],
            devices: vec![Grant {
                name: "a.txt".into(),
                device,
            }],
            ..Options::default()
        };
        let mut instance = start_with(monitor, reads_what_it_was_given(), &options);
        handle.set_len(0).expect("shrunk");
        let outcome = instance.enter(BUDGET, false);
        let Ok(Outcome::Faulted(report)) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(report.cause, Cause::Memory, "{:?}", monitor.kind());
    });
}

// Reads a byte of every page of 256 pages of its text.
guest!(
    reads_its_text,
    "mov rbx, rdi",
    "lea rsi, [rip]",
    "mov ecx, 256",
    "1: mov al, [rsi]",
    "add rsi, 4096",
    "dec ecx",
    "jnz 1b",
    "call [rbx + 24]",
    "ud2",
);

#[test]
fn instances_of_one_image_have_its_text_in_common() {
    let mut elf = Elf::new(reads_its_text());
    elf.parts[0].bytes.resize(257 * 4096, 0x90);
    elf.parts[0].memory_size = 257 * 4096;
    for part in &mut elf.parts[1..] {
        part.address += 0x20_0000;
    }
    let image = Image::load(&elf.bytes()).expect("a sound image");
    with_each(|monitor| {
        let mut instances: Vec<_> = (0..3)
            .map(|_| {
                monitor
                    .create(&image, &Options::default())
                    .expect("created")
            })
            .collect();
        for instance in &mut instances {
            assert!(matches!(
                instance.enter(BUDGET, false),
                Ok(Outcome::Yielded { .. })
            ));
            let memory = instance.memory_use().expect("known");
            assert!(memory.shared >= 256 * 4096, "{memory:?}");
            assert!(memory.private <= 128 << 10, "{memory:?}");
        }
    });
}

#[test]
fn instances_come_and_go_and_leave_nothing_behind() {
    let image = Image::load(&Elf::new(round_trips()).bytes()).expect("a sound image");
    with_each(|monitor| {
        let mut ids = vec![];
        for round in 0..200 {
            let mut instance = monitor
                .create(&image, &one_network(false))
                .expect("created");
            if round % 2 == 0 {
                assert!(matches!(
                    instance.enter(BUDGET, false),
                    Ok(Outcome::Yielded { .. })
                ));
            }
            if round % 4 < 2 {
                instance.kill();
            }
            drop(instance);
            // Other tests run at the same time and hold a few; one left by each round would be more.
            ids.push(ours());
        }
        let (first, last) = (ids[0], ids[199]);
        assert!(last < first + 100, "{ids:?}");
    });
}

/// Descriptors of this process that a monitor made.
fn ours() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("/proc");
    let names = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    names
        .filter(|name| {
            let name = name.to_string_lossy();
            ["sprat-", "kvm-vm", "kvm-vcpu", "pidfd"]
                .iter()
                .any(|ours| name.contains(ours))
        })
        .count()
}

#[test]
fn a_killed_instance_is_gone_and_what_it_shared_is_still_there() {
    with_each(|monitor| {
        let mut instance = start(monitor, round_trips());
        assert!(matches!(
            instance.enter(BUDGET, false),
            Ok(Outcome::Yielded { .. })
        ));
        instance.kill();
        assert!(matches!(
            instance.enter(BUDGET, false),
            Err(MonitorError::Ended)
        ));
        assert_eq!(instance.shared().read_console(&mut [0; 8]), Ok(0));
        assert_eq!(instance.shared().records().count(), 0);
    });
}

// Turns every frame of the first device round: swaps its Ethernet addresses and sends it back where it
// came from, in the buffer it came in.
guest!(
    turns_frames_round,
    "mov rbx, rdi",
    "mov rax, [rbx + 40]",
    "mov qword ptr [rax], -1",
    "mov rax, [rbx + 240]",
    "mov r12, [rax + 32]",
    "mov r13, [rax + 48]",
    "mov r14, [rbx + 168]",
    "xor r15d, r15d",
    "1: mov eax, [r12]",
    "cmp eax, r15d",
    "je 3f",
    "2: mov ecx, r15d",
    "and ecx, 1023",
    "shl ecx, 4",
    "mov r8, [r12 + rcx + 128]",
    "mov r9, [r12 + rcx + 136]",
    "mov [r13 + rcx + 128], r8",
    "mov [r13 + rcx + 136], r9",
    "mov r10d, r8d",
    "imul r10, r10, 2112",
    "shr r8, 32",
    "movzx r8d, r8w",
    "add r10, r8",
    "mov rdx, [r14 + r10 + 128]",
    "mov esi, [r14 + r10 + 136]",
    "mov rdi, rdx",
    "shr rdi, 48",
    "shl rsi, 16",
    "or rdi, rsi",
    "mov rsi, rdx",
    "shl rsi, 48",
    "or rdi, rsi",
    "mov [r14 + r10 + 128], rdi",
    "shr rdx, 16",
    "mov [r14 + r10 + 136], edx",
    "inc r15d",
    "cmp r15d, eax",
    "jne 2b",
    "mov [r12 + 64], r15d",
    "mov [r13], r15d",
    "3: call [rbx + 24]",
    "jmp 1b",
);

fn one_network(huge_pool: bool) -> Options {
    let device = GrantedDevice::Network {
        address: [2, 0, 0, 0, 0, 1],
        frame_limit: 1514,
        features: 0,
    };
    let grant = Grant {
        name: "eth0".into(),
        device,
    };
    Options {
        devices: vec![grant],
        huge_pool,
        ..Options::default()
    }
}

#[test]
fn frames_go_through_an_instance_and_come_back_changed_by_it_alone() {
    for huge_pool in [false, true] {
        forward_and_compare(huge_pool);
    }
}

fn forward_and_compare(huge_pool: bool) {
    use sprat_abi::frame::FrameHead;
    use sprat_abi::host::Frame;
    with_each(|monitor| {
        let mut instance = start_with(monitor, turns_frames_round(), &one_network(huge_pool));
        for round in 0u32..50 {
            let frames: Vec<Vec<u8>> = (0..100u32)
                .map(|i| {
                    let mut frame = b"\x02aaaa\x01\x02bbbb\x02".to_vec();
                    frame.extend(
                        (round * 100 + i)
                            .to_be_bytes()
                            .repeat(12 + (i as usize) * 3),
                    );
                    frame
                })
                .collect();
            let heads = |i: usize| FrameHead::at(i64::try_from(i).expect("small"));
            let offered = frames
                .iter()
                .enumerate()
                .map(|(i, frame)| Frame::new(frame, heads(i)));
            let delivery = instance.shared().deliver(0, offered).expect("honest");
            assert_eq!(delivery.delivered, 100);
            assert!(matches!(
                instance.enter(BUDGET, false),
                Ok(Outcome::Yielded { deadline: u64::MAX })
            ));
            let mut back = vec![];
            let drained = instance.shared().drain(0, u32::MAX, |frame| {
                assert_eq!(
                    frame.head().timestamp,
                    i64::try_from(back.len()).expect("small")
                );
                let mut bytes = vec![];
                frame.append_to(&mut bytes);
                back.push(bytes);
            });
            assert_eq!(drained, Ok(100));
            for (sent, got) in frames.iter().zip(&back) {
                assert_eq!(
                    (&got[..6], &got[6..12], &got[12..]),
                    (&sent[6..12], &sent[..6], &sent[12..])
                );
            }
        }
    });
}

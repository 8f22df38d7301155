//! Breaches of the seal, each with the report that the processor's fault becomes.

use sprat_monitor::{Cause, Death, MonitorKind, Outcome};

use crate::world::{BUDGET, Neighbour, attack, built, monitors, options};

/// What a report must say: cause without the address, region, and the function it names first.
struct Expected {
    name: &'static str,
    vm: Cause,
    process: Cause,
    region: Option<&'static str>,
    function: &'static str,
}

fn exception(vector: u8, error_code: u64) -> Cause {
    Cause::Exception {
        vector,
        error_code,
        address: None,
    }
}

#[test]
fn each_breach_is_reported_exactly_and_harms_no_neighbour() {
    let same = |name, cause, region, function| Expected {
        name,
        vm: cause,
        process: cause,
        region,
        function,
    };
    // Of a write where nothing is mapped, the kernel does not tell a process's tracer that it was one.
    let unmapped_write = |name, vm, region, function| Expected {
        name,
        vm: exception(14, vm),
        process: exception(14, 4),
        region,
        function,
    };
    let cases = [
        same(
            "writes_text",
            exception(14, 7),
            Some("image text"),
            "writes_text",
        ),
        same(
            "writes_constants",
            exception(14, 7),
            Some("image read-only data"),
            "writes_constants",
        ),
        same(
            "writes_the_boot_page",
            exception(14, 7),
            Some("boot page"),
            "writes_the_boot_page",
        ),
        same(
            "runs_data",
            exception(14, 0x15),
            Some("image data"),
            "runs_data",
        ),
        same(
            "runs_stack",
            exception(14, 0x15),
            Some("stack"),
            "runs_stack",
        ),
        same("runs_heap", exception(14, 0x15), Some("heap"), "runs_heap"),
        same(
            "reads_page_zero",
            exception(14, 4),
            Some("page zero"),
            "reads_page_zero",
        ),
        unmapped_write("overflows_the_stack", 6, Some("stack guard"), "goes_deeper"),
        unmapped_write(
            "writes_supervisor_pages",
            7,
            Some("supervisor pages"),
            "writes_supervisor_pages",
        ),
        same(
            "writes_page_tables",
            exception(13, 0),
            None,
            "writes_page_tables",
        ),
        same("halts", exception(13, 0), None, "halts"),
        same("uses_a_port", exception(13, 0), None, "uses_a_port"),
        same(
            "asks_the_kernel",
            Cause::SystemCall { number: 2 },
            None,
            "asks_the_kernel",
        ),
    ];
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        for expected in &cases {
            let death = attack(&*monitor, &mut neighbour, expected.name, b"");
            let Death::Faulted(report) = death else {
                panic!("{}: {death}", expected.name)
            };
            let cause = match report.cause {
                Cause::Exception {
                    vector,
                    error_code,
                    address,
                } => {
                    assert_eq!(address.is_some(), vector == 14, "{report}");
                    Cause::Exception {
                        vector,
                        error_code,
                        address: None,
                    }
                }
                other => other,
            };
            let wanted = match monitor.kind() {
                MonitorKind::Vm | MonitorKind::Disk => expected.vm,
                MonitorKind::Process => expected.process,
            };
            let context = format!("{} under {:?}: {report}", expected.name, monitor.kind());
            assert_eq!(
                (cause, report.region),
                (wanted, expected.region),
                "{context}"
            );
            // The functions inlined into each other at the innermost address that has names.
            let names = report
                .backtrace
                .iter()
                .find(|frame| !frame.names.is_empty());
            let names = &names.unwrap_or_else(|| panic!("no names: {context}")).names;
            let function = names
                .iter()
                .find(|name| name.function.ends_with(expected.function));
            let function = function.unwrap_or_else(|| panic!("not named: {context}"));
            // An instruction that was written in assembly has no line.
            if let Some((file, line)) = &function.place {
                let right = file.ends_with(&format!("{}.rs", expected.name)) && *line > 0;
                assert!(right, "{context}");
            }
        }
    }
}

#[test]
fn a_panic_tells_its_message_on_the_console_and_its_place_in_the_report() {
    let source = include_str!("../../src/bin/panics.rs");
    let line = source.lines().position(|line| line.ends_with("// here"));
    let line = line.and_then(|line| u32::try_from(line + 1).ok());
    let built = built("panics");
    for monitor in monitors() {
        let mut instance = monitor
            .create(&built.image, &options(b""))
            .expect("created");
        let outcome = instance.enter(BUDGET, false).expect("entered");
        let Outcome::Faulted(mut report) = outcome else {
            panic!("{outcome:?}")
        };
        report.name_frames(&built.symbols());
        assert_eq!(report.cause, exception(3, 0), "{report}");
        let names = report.backtrace.iter().flat_map(|frame| &frame.names);
        let place = names
            .filter(|name| name.function.ends_with("look_up"))
            .find_map(|name| name.place.as_ref());
        let (file, found) = place.unwrap_or_else(|| panic!("no place: {report}"));
        assert!(file.ends_with("panics.rs"), "{report}");
        assert_eq!(Some(*found), line, "{report}");
        let mut text = vec![0; 1000];
        let length = instance
            .shared()
            .read_console(&mut text)
            .expect("nothing was broken");
        assert_eq!(
            String::from_utf8_lossy(&text[..length]),
            "panicked: index out of bounds: the len is 3 but the index is 3\n"
        );
    }
}

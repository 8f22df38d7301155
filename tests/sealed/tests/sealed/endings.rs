//! Instances that end, or never do, or never stop talking.

use sprat_monitor::{Death, Outcome};

use crate::world::{BUDGET, Neighbour, attack, built, monitors, options, serve};

#[test]
fn an_instance_that_spins_is_called_hung() {
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        let death = attack(&*monitor, &mut neighbour, "spins", b"");
        assert!(matches!(death, Death::Hung { budgets: 3 }), "{death}");
        neighbour.goes_on();
    }
}

#[test]
fn any_status_is_passed_on_as_it_is() {
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        for status in [0, 1, -1, 255, 256, i32::MIN, i32::MAX, 0x5a5a_5a5a] {
            let death = attack(&*monitor, &mut neighbour, "exits", &status.to_le_bytes());
            assert!(
                matches!(death, Death::Exited(found) if found == status),
                "{death}"
            );
        }
    }
}

#[test]
fn a_flood_of_the_console_is_bounded_by_its_ring() {
    const RING: usize = 16 << 10;
    for monitor in monitors() {
        let mut neighbour = Neighbour::new(&*monitor);
        let image = &built("floods_the_console").image;
        let mut instance = monitor.create(image, &options(b"")).expect("created");
        for _ in 0..50 {
            let outcome = instance.enter(BUDGET, false).expect("entered");
            assert!(
                matches!(
                    outcome,
                    Outcome::Yielded {
                        deadline: sprat_abi::call::AT_ONCE
                    }
                ),
                "{outcome:?}"
            );
            assert_eq!(
                serve(&mut *instance),
                Ok(RING),
                "as much as the ring holds, and no more"
            );
            neighbour.goes_on();
        }
        // Whoever reads nothing loses nothing but time: the instance waits.
        let before = instance.memory_use().expect("known");
        for _ in 0..50 {
            assert!(matches!(
                instance.enter(BUDGET, false),
                Ok(Outcome::Yielded { .. })
            ));
        }
        assert!(
            instance.memory_use().expect("known").private <= before.private + RING as u64 + 8192
        );
    }
}

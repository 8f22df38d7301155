//! How much time each element of a router takes, as the router estimates it.

use std::rc::Rc;

use sprat_click::driver::Driver;
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::Builder;
use sprat_click::simulation::Simulation;
use sprat_packet::Pool;

/// What a look at the clock takes here, in nanoseconds.
const LOOK: u64 = 10;

/// Runs a configuration where time goes on with each look at the clock alone; says what each element
/// took, and how often the task of `counted` ran.
fn times(text: &str, counted: &str, names: &[&str]) -> (Vec<u64>, u64) {
    let simulation = Simulation::new();
    let library = parser(Rc::new(NoLibraries), Vec::new());
    let builder = Rc::new(Builder::new(
        sprat_elements::library(),
        simulation.clone(),
        Pool::growing(),
        library,
    ));
    let (router, _) = match builder.build(text, "config") {
        Ok(built) => built,
        Err(errors) => panic!("{}", errors.diagnostics),
    };
    let mut driver = Driver::new(router);
    simulation.set_tick(LOOK);
    for _ in 0..1000 {
        driver.step();
    }
    let router = driver.router();
    let time = |name: &&str| router.time(router.find(name).expect("an element"));
    let runs = router.task_runs(router.find(counted).expect("an element"));
    (names.iter().map(time).collect(), runs)
}

#[test]
fn an_element_takes_the_time_that_those_it_pulls_from_do_not() {
    let text = "InfiniteSource(LIMIT -1, STOP false) -> q :: Queue(64) -> n :: Null -> u :: Unqueue -> d :: Discard;";
    let (times, runs) = times(text, "u", &["u", "n", "d"]);
    assert!(runs > 1000, "{runs} runs");
    let [unqueue, null, discard] = times[..] else {
        panic!("three elements");
    };
    // What is pulled from is another's: each has a look's time before that and one after.
    assert_eq!(unqueue, null);
    // One run in 61 is measured, and stands for all of them.
    let each = 2 * LOOK;
    assert!(unqueue.is_multiple_of(61 * each), "{unqueue}");
    assert!(
        unqueue.abs_diff(runs * each) <= 61 * each,
        "{unqueue} of {runs} runs"
    );
    // What is pushed to is measured too, by itself.
    assert_eq!(2 * discard, unqueue);
}

#[test]
fn what_never_runs_takes_no_time() {
    let text = "i :: Idle -> c :: Counter -> Discard; s :: InfiniteSource(LIMIT -1) -> Discard;";
    let (times, _) = times(text, "s", &["i", "c"]);
    assert_eq!(times, [0, 0]);
}

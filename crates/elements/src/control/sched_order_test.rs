use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};

pub(super) const SCHED_ORDER_TEST: Class =
    Class::of::<SchedOrderTest>("SchedOrderTest").ports("0/0");

/// SchedOrderTest: notes when its task runs, among those of others of its class.
///
/// ```click
/// SchedOrderTest(ID [, keywords SIZE, LIMIT, STOP])
/// ```
///
/// For looking at the scheduler.
///
/// - ID: the number that is noted.
/// - SIZE: how many numbers are noted, those of all such elements together; 1024. The largest SIZE of
///   all counts.
/// - LIMIT: how often the task runs; 0, the default: for ever.
/// - STOP: whether the driver stops when it runs and as many have been noted; false.
///
/// Handlers: `order` (read): the numbers of all such elements; those of its task.
///
/// See Click's manual page SchedOrderTest(n).
struct SchedOrderTest {
    id: i32,
    limit: u32,
    stop: bool,
    count: u32,
    notes: Rc<RefCell<Notes>>,
}

/// What all of a router have noted.
#[derive(Default)]
struct Notes {
    order: Vec<i32>,
    size: usize,
}

/// How many numbers are noted unless more or fewer are asked for.
const SIZE: usize = 1024;

/// How many numbers are noted at most.
const MOST: u32 = 1 << 20;

impl Configure for SchedOrderTest {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let id = arguments.required("ID");
        let size = arguments.keyword::<u32>("SIZE").unwrap_or(0).min(MOST);
        let stop = arguments.keyword("STOP").unwrap_or(false);
        let limit = arguments.keyword("LIMIT").unwrap_or(0);
        arguments.finish()?;
        let theirs = |other: &mut Self| other.notes.clone();
        let notes = configuration
            .elements()
            .find_map(|other| configuration.with(other, theirs))
            .unwrap_or_default();
        let most = notes.borrow().size.max(size as usize);
        notes.borrow_mut().size = most;
        Ok(Self {
            id: id?,
            limit,
            stop,
            count: 0,
            notes,
        })
    }
}

impl Element for SchedOrderTest {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.schedule_task();
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        let mut notes = self.notes.borrow_mut();
        let size = if notes.size == 0 { SIZE } else { notes.size };
        if notes.order.len() < size {
            notes.order.push(self.id);
        } else if self.stop {
            context.stop_driver();
        }
        self.count = self.count.saturating_add(1);
        if self.limit == 0 || self.count < self.limit {
            context.schedule_task();
        }
        true
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("order").task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "order" => {
                let notes = self.notes.borrow();
                let numbers: Vec<String> = notes.order.iter().map(ToString::to_string).collect();
                Ok(numbers.join(" ") + "\n")
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    // With strides of 64, 32 and 21 as Click's scheduler counts them.
    #[test]
    fn tasks_run_by_their_strides() {
        let bench = Bench::new(
            "s1 :: SchedOrderTest(1, SIZE 10, STOP true); s2 :: SchedOrderTest(2, SIZE 5);
             s3 :: SchedOrderTest(3); ScheduleInfo(s1 1, s2 2, s3 3)",
        );
        assert!(bench.run());
        assert_eq!(bench.read("s2.order"), "1 2 3 3 2 3 3 1 2 3\n");
        let bench = Bench::new(
            "a :: SchedOrderTest(7, LIMIT 2); b :: SchedOrderTest(-1, LIMIT 3); Script(wait 1ms, stop)",
        );
        bench.run_for(core::time::Duration::from_millis(2));
        assert_eq!(bench.read("a.order"), "7 -1 7 -1 -1\n");
    }
}

//! Telling whoever watches the lane what happens in it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::mpsc::{SyncSender, TrySendError};

use crate::protocol::Event;

/// Deaths that are kept while nobody is there to write them down: the newest.
const MOST_DEATHS: usize = 64;

/// Tells what happens. Clones tell the same watcher.
#[derive(Clone, Default)]
pub(super) struct Teller(Rc<RefCell<Telling>>);

#[derive(Default)]
struct Telling {
    watcher: Option<SyncSender<Event>>,
    untold: VecDeque<Event>,
}

impl Teller {
    /// Tells this watcher from now on, and first of the deaths that nobody was told of.
    pub(super) fn watch(&self, watcher: SyncSender<Event>) {
        let mut telling = self.0.borrow_mut();
        telling.watcher = Some(watcher);
        for event in std::mem::take(&mut telling.untold) {
            telling.tell(event);
        }
    }

    pub(super) fn tell(&self, event: Event) {
        self.0.borrow_mut().tell(event);
    }
}

impl Telling {
    fn tell(&mut self, event: Event) {
        let event = match &self.watcher {
            None => event,
            Some(watcher) => match watcher.try_send(event) {
                Ok(()) => return,
                // One that falls behind is let go; it asks again, and sees how things are then.
                Err(TrySendError::Full(event) | TrySendError::Disconnected(event)) => {
                    self.watcher = None;
                    event
                }
            },
        };
        if matches!(event, Event::Died { .. }) {
            if self.untold.len() >= MOST_DEATHS {
                self.untold.pop_front();
            }
            self.untold.push_back(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn died(at: u64) -> Event {
        Event::Died {
            instance: "fw".into(),
            at,
            how: "was killed".into(),
            report: String::new(),
        }
    }

    fn back() -> Event {
        Event::PortBack { port: "wan".into() }
    }

    #[test]
    fn deaths_that_nobody_was_told_of_are_told_later_and_the_newest_of_them() {
        let teller = Teller::default();
        teller.tell(back());
        for at in 0..100 {
            teller.tell(died(at));
        }
        let (watcher, happening) = sync_channel(1000);
        teller.watch(watcher);
        teller.tell(back());
        let told: Vec<_> = happening.try_iter().collect();
        let mut expected: Vec<_> = (36..100).map(died).collect();
        expected.push(back());
        assert_eq!(told, expected);
    }

    #[test]
    fn a_watcher_that_falls_behind_is_let_go_and_loses_no_death() {
        let teller = Teller::default();
        let (slow, unread) = sync_channel(1);
        teller.watch(slow);
        for at in 0..3 {
            teller.tell(died(at));
        }
        assert_eq!(
            unread.iter().collect::<Vec<_>>(),
            [died(0)],
            "and then the end"
        );
        let (watcher, happening) = sync_channel(10);
        teller.watch(watcher);
        assert_eq!(happening.try_iter().collect::<Vec<_>>(), [died(1), died(2)]);
    }
}

//! What the fuzz targets share: whole routers of the real element library, in simulated time, and
//! memory that two sides see.

mod answers;
mod frames;
mod outside;
mod region;

pub use answers::answer;
pub use frames::{fill, frames, records};
pub use region::Region;

use outside::Outside;
use sprat_click::driver::{Driver, Step};
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::Builder;
use sprat_click::simulation::Simulation;
use sprat_packet::Pool;
use std::rc::Rc;
use std::time::Duration;

/// A router that runs in a simulation, and the buffers it was lent.
pub struct Bench {
    driver: Driver,
    simulation: Rc<Simulation>,
    pool: Pool,
}

/// How to set a router up.
#[derive(Clone, Copy, Default)]
pub struct Setup<'a> {
    /// Whether packets go through it one by one.
    pub exact: bool,
    /// What the first client to connect to it sends.
    pub client: &'a [u8],
}

impl Bench {
    /// A router of this configuration; `None` where it is refused, with messages.
    pub fn new(simulation: &Rc<Simulation>, text: &str, setup: Setup<'_>) -> Option<Self> {
        let pool = Pool::growing();
        let outside = Rc::new(Outside::new(simulation.clone(), setup.client));
        let parse = parser(Rc::new(NoLibraries), Vec::new());
        let builder = Builder::new(sprat_elements::library(), outside, pool.clone(), parse)
            .hot_swap(true)
            .exact(setup.exact);
        match Rc::new(builder).build(text, "config") {
            Ok((router, warnings)) => {
                std::hint::black_box(warnings.to_string());
                Some(Self { driver: Driver::new(router), simulation: simulation.clone(), pool })
            }
            Err(error) => {
                // Elements of the class Error say nothing.
                let said = !error.diagnostics.to_string().is_empty();
                assert!(said || text.contains(":: Error"), "refused without a word");
                None
            }
        }
    }

    /// The router as it is now.
    pub fn router(&self) -> &sprat_click::Router {
        self.driver.router()
    }

    /// Runs so many rounds at most. A router that always has something to do never sees the end
    /// of a moment, so each round takes a little time.
    pub fn run(&mut self, rounds: usize) {
        for _ in 0..rounds {
            match self.driver.step() {
                Step::Stop | Step::Wait(None) => return,
                Step::Again => self.simulation.advance(Duration::from_micros(1)),
                Step::Wait(Some(moment)) | Step::Poll(Some(moment)) => self.simulation.advance_to(moment),
                Step::Poll(None) => self.simulation.advance(Duration::from_millis(1)),
            }
        }
    }

    /// Reads every handler of an element, and writes what `lines` say: a handler and a value each.
    pub fn handlers(&self, element: &str, lines: &str) {
        for line in lines.lines().take(8) {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            let _ = self.router().write(&format!("{element}.{name}"), value);
        }
        let router = self.router();
        let Some(list) = router.find(element).and_then(|id| router.element_handlers(id)) else { return };
        for handler in list.iter().filter(|handler| handler.flags.read) {
            let _ = router.read(&format!("{element}.{}", handler.name), "");
        }
    }

    /// Ends the router and expects every buffer back.
    pub fn finish(self) {
        drop(self.driver.finish());
        assert_eq!(self.pool.available(), self.pool.buffers(), "a packet outlives its router");
    }
}

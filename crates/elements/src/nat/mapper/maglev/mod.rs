mod table;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt::Write;

use sprat_click::arguments::{Argument, ArgumentError, Names, NoNames, Raw, split_words};
use sprat_click::{Arguments, Class, Configuration, HandlerError, HandlerList, Rejected};
use sprat_packet::flow::FlowHash;

use super::{Mapped, Mapper, Request, class};
use crate::nat::flow_table::Outputs;
use crate::nat::input_spec::{ANY_OUTPUT, Rewriting};
use table::{Candidate, Table};

/// MaglevIPMapper: has rewriters spread new flows over backends by Maglev hashing.
///
/// ```click
/// MaglevIPMapper(PATTERN1, ..., PATTERNn [, WEIGHTS W1 ... Wn, SIZE 65537, SEED 0])
/// ```
///
/// Used by naming the element as an input specification of IPRewriter or its relatives. Each
/// PATTERN is as in RoundRobinIPMapper and stands for a backend. A new flow's addresses, ports and
/// protocol say which it gets, so several balancers with the same patterns and SEED, in any order,
/// send a flow to the same backend. All get the same share of flows, or shares by WEIGHTS. When a
/// backend comes or goes nearly all flows of others keep theirs; and those that a rewriter knows
/// keep theirs in any case, for its table of flows is asked first. (Eisenbud and others, Maglev: A
/// Fast and Reliable Software Network Load Balancer, NSDI 2016.)
///
/// SIZE is that of the lookup table, a prime; a hundred times the number of backends or more make
/// shares equal to a percent. A flow whose backend's pattern has no address or port free is dropped
/// and counted by the rewriter.
///
/// Handlers: `backends` (read), a line `NUMBER up|down WEIGHT PLACES PATTERN` for each; `down`
/// (write, a number): it gets no new flows, `up` (write, a number): it does again; `weights`
/// (read, write).
///
/// ```click
/// lb :: MaglevIPMapper(- - 10.0.0.11 - 0 1, - - 10.0.0.12 - 0 1, - - 10.0.0.13 - 0 1);
/// rw :: IPRewriter(lb, drop);
/// ```
pub(in crate::nat) const MAGLEV_IP_MAPPER: Class = class("MaglevIPMapper");

struct Backend {
    /// The pattern as it was written, which is its name.
    text: String,
    rewriting: Rewriting,
    weight: u16,
    up: bool,
}

struct Maglev {
    backends: RefCell<Vec<Backend>>,
    table: RefCell<Table>,
    size: usize,
    seed: u64,
    hash: FlowHash,
}

/// Sizes of the table: a prime with a small share of rounding, and a bound on what a
/// configuration can ask for.
const DEFAULT_SIZE: usize = 65_537;
const LARGEST_SIZE: usize = 1 << 24;

fn size(text: &str, names: &dyn Names) -> Result<usize, ArgumentError> {
    let size = usize::parse(text, names)?;
    let prime = || {
        (2..)
            .take_while(|it| it * it <= size)
            .all(|it| size % it != 0)
    };
    if (2..=LARGEST_SIZE).contains(&size) && prime() {
        Ok(size)
    } else {
        Err(ArgumentError::other("expected a prime below 16777216"))
    }
}

/// Reads a weight for each backend.
fn weights(text: &str, count: usize) -> Result<Vec<u16>, String> {
    let words = split_words(text);
    let weights = words.iter().map(|word| u16::parse(word, &NoNames));
    match weights.collect::<Result<Vec<u16>, _>>() {
        Ok(weights) if weights.len() == count => Ok(weights),
        _ => Err(format!("WEIGHTS: expected {count} numbers below 65536")),
    }
}

pub(super) fn configure(
    arguments: &mut Arguments<'_>,
    configuration: &Configuration<'_>,
) -> Result<Rc<dyn Mapper>, Rejected> {
    let size = arguments.keyword_with("SIZE", size).unwrap_or(DEFAULT_SIZE);
    let seed = arguments.keyword("SEED").unwrap_or(0);
    let weights_text = arguments.keyword::<Raw>("WEIGHTS");
    let mut backends = Vec::new();
    for text in arguments.rest() {
        let surroundings = (arguments.names(), configuration);
        match Rewriting::parse(&split_words(&text), &surroundings, ANY_OUTPUT) {
            Ok(rewriting) => backends.push(Backend {
                text: split_words(&text).join(" "),
                rewriting,
                weight: 1,
                up: true,
            }),
            Err(message) => {
                arguments.error(message);
            }
        }
    }
    arguments.finish()?;
    if backends.is_empty() {
        return Err(arguments.error("no patterns given"));
    }
    if backends.len() > size.min(usize::from(u16::MAX)) {
        return Err(arguments.error("more patterns than SIZE"));
    }
    if let Some(Raw(text)) = weights_text {
        let weights = weights(&text, backends.len()).map_err(|message| arguments.error(message))?;
        set_weights(&mut backends, &weights);
    }
    let maglev = Maglev {
        table: RefCell::new(Table::new(&candidates(&backends), size, seed)),
        backends: RefCell::new(backends),
        size,
        seed,
        hash: FlowHash::new(seed),
    };
    Ok(Rc::new(maglev))
}

fn set_weights(backends: &mut [Backend], weights: &[u16]) {
    for (backend, weight) in backends.iter_mut().zip(weights) {
        backend.weight = *weight;
    }
}

fn candidates(backends: &[Backend]) -> Vec<Candidate<'_>> {
    let weight = |backend: &Backend| if backend.up { backend.weight } else { 0 };
    let candidates = backends.iter().map(|backend| Candidate {
        name: &backend.text,
        weight: weight(backend),
    });
    candidates.collect()
}

impl Mapper for Maglev {
    fn map(&self, request: &Request<'_>) -> Option<Mapped> {
        let backend = self.table.borrow().backend_of(self.hash.of(&request.key))?;
        let backends = self.backends.borrow();
        backends.get(backend)?.rewriting.apply(request)
    }

    fn outputs(&self) -> Vec<Outputs> {
        let backends = self.backends.borrow();
        let outputs = backends.iter().map(|backend| backend.rewriting.outputs);
        outputs.collect()
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("backends").read_write("weights");
        list.write("up").write("down");
    }

    fn read(&self, name: &str) -> Result<String, HandlerError> {
        let (backends, table) = (self.backends.borrow(), self.table.borrow());
        let mut text = String::new();
        for (number, backend) in backends.iter().enumerate() {
            let Backend {
                text: name_of,
                weight,
                up,
                ..
            } = backend;
            // Writing to a string cannot fail.
            let _ = match name {
                "backends" => {
                    let (state, share) = (if *up { "up" } else { "down" }, table.share(number));
                    writeln!(text, "{number} {state} {weight} {share} {name_of}")
                }
                "weights" if number == 0 => write!(text, "{weight}"),
                "weights" => write!(text, " {weight}"),
                _ => return Err(HandlerError::NoHandler(name.into())),
            };
        }
        Ok(text)
    }

    fn write(&self, name: &str, value: &str) -> Result<(), HandlerError> {
        let mut backends = self.backends.borrow_mut();
        let count = backends.len();
        match name {
            "weights" => {
                let weights = weights(value, count).map_err(HandlerError::failed)?;
                set_weights(&mut backends, &weights);
            }
            "up" | "down" => {
                let number = usize::parse(value.trim(), &NoNames).ok();
                let backend = number.and_then(|number| backends.get_mut(number));
                let Some(backend) = backend else {
                    let message = format!("expected a backend's number below {count}");
                    return Err(HandlerError::failed(message));
                };
                backend.up = name == "up";
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        *self.table.borrow_mut() = Table::new(&candidates(&backends), self.size, self.seed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use crate::nat::testing::{PUBLIC, assert_sums, packet};
    use crate::testing::Bench;

    fn balancer(patterns: &str) -> Bench {
        Bench::new(&std::format!(
            "lb :: MaglevIPMapper({patterns}, SIZE 251);
             rw :: IPRewriter(lb, drop);
             FromDevice(in) -> MarkIPHeader(0) -> rw; Idle -> [1]rw; rw[0] -> ToDevice(out); rw[1] -> Idle"
        ))
    }

    const THREE: &str = "- - 10.0.0.11 - 0 1, - - 10.0.0.12 - 0 1, - - 10.0.0.13 - 0 1";

    /// The last bytes of the servers' addresses that a hundred connections get.
    fn servers(bench: &Bench) -> Vec<u8> {
        for port in 1000..1100 {
            bench.arrive("in", &packet(6, [9, 9, 9, 9], port, PUBLIC, 80, 2));
        }
        bench.run();
        let sent = bench.sent("out");
        sent.iter().for_each(|bytes| assert_sums(bytes));
        sent.iter().map(|bytes| bytes[19]).collect()
    }

    #[test]
    fn two_balancers_agree_on_every_flow() {
        let other = "- - 10.0.0.13 - 0 1, - - 10.0.0.11 - 0 1, - - 10.0.0.12 - 0 1";
        let chosen = servers(&balancer(THREE));
        assert_eq!(chosen, servers(&balancer(other)));
        for server in [11, 12, 13] {
            assert!(chosen.contains(&server));
        }
    }

    #[test]
    fn known_connections_stay_and_new_ones_avoid_a_backend_that_is_down() {
        let bench = balancer(THREE);
        let before = servers(&bench);
        bench.write("lb.down", "1");
        assert_eq!(servers(&bench), before);
        bench.write("rw.clear", "");
        let after = servers(&bench);
        assert_eq!(after.len(), 100);
        assert!(!after.contains(&12));
        bench.write("lb.up", "1");
        bench.write("rw.clear", "");
        assert_eq!(servers(&bench), before);
    }

    #[test]
    fn the_handler_says_how_many_places_each_has() {
        let bench = balancer(THREE);
        bench.write("lb.weights", "1 0 4");
        bench.write("lb.down", "0");
        let lines = bench.read("lb.backends");
        let lines: Vec<String> = lines.lines().map(String::from).collect();
        assert_eq!(
            lines,
            [
                "0 down 1 0 - - 10.0.0.11 - 0 1",
                "1 up 0 0 - - 10.0.0.12 - 0 1",
                "2 up 4 251 - - 10.0.0.13 - 0 1"
            ]
        );
        assert_eq!(bench.read("lb.weights"), "1 0 4");
        let refused = bench.write_fails("lb.up", "3").unwrap();
        assert!(
            refused.contains("expected a backend's number below 3"),
            "{refused}"
        );
    }

    #[test]
    fn bad_arguments_are_named() {
        for (arguments, wrong) in [
            ("", "no patterns given"),
            ("- - 10.0.0.1 - 0", "bad"),
            ("- - 1.0.0.1 - 0 1, SIZE 100", "SIZE: expected a prime"),
            (
                "- - 1.0.0.1 - 0 1, WEIGHTS 1 2",
                "WEIGHTS: expected 1 numbers",
            ),
        ] {
            let errors = Bench::errors(&std::format!("MaglevIPMapper({arguments})"));
            assert!(errors.contains(wrong), "{errors}");
        }
    }
}

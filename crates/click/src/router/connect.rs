//! Ports: how many each element has, which push and which pull, and what is wrong with them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ports::{self, Processing};
use crate::collections::{sort, sort_by_key};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::element::Class;
use crate::graph::{Flat, FlatConnection};

/// The ports of one element.
pub(super) struct Ports {
    pub(super) inputs: Vec<Processing>,
    pub(super) outputs: Vec<Processing>,
}

/// Counts and resolves the ports of all elements, reporting what is wrong.
pub(super) fn resolve(
    flat: &Flat,
    classes: &[&'static Class],
    diagnostics: &mut Diagnostics,
) -> Vec<Ports> {
    let before = diagnostics.error_count();
    let mut connections: Vec<&FlatConnection> = flat.connections.iter().collect();
    sort_by_key(&mut connections, |connection| {
        (connection.to, connection.from)
    });
    let mut resolver = Resolver {
        flat,
        connections,
        classes,
        ports: Vec::new(),
        diagnostics,
    };
    // As in Click, what is wrong in one respect keeps the next from being looked at.
    for look in [Resolver::count, Resolver::settle, Resolver::check_use] {
        look(&mut resolver);
        if resolver.diagnostics.error_count() > before {
            break;
        }
    }
    resolver.ports
}

/// An element and one of its ports.
type Port = (usize, u16);

struct Resolver<'a> {
    flat: &'a Flat,
    /// By the inputs they lead to, which is the order Click reports them in.
    connections: Vec<&'a FlatConnection>,
    classes: &'a [&'static Class],
    ports: Vec<Ports>,
    diagnostics: &'a mut Diagnostics,
}

fn word(processing: Processing) -> &'static str {
    match processing {
        Processing::Push => "push",
        Processing::Pull => "pull",
        Processing::Agnostic => "agnostic",
    }
}

impl Resolver<'_> {
    fn describe(&self, element: usize) -> String {
        let element = &self.flat.elements[element];
        format!("'{} :: {}'", element.name, element.class)
    }

    fn error_at_element(&mut self, element: usize, message: String, help: Option<&str>) {
        let mut diagnostic = Diagnostic::error(message).at(&self.flat.elements[element].landmark);
        if let Some(help) = help {
            diagnostic = diagnostic.help(help);
        }
        self.diagnostics.push(diagnostic);
    }

    /// Counts the ports in use and holds them against what the classes allow.
    fn count(&mut self) {
        let flat = self.flat;
        let mut used = alloc::vec![(0, 0); flat.elements.len()];
        for connection in &flat.connections {
            let (from, output) = connection.from;
            let (to, input) = connection.to;
            used[from].1 = used[from].1.max(usize::from(output) + 1);
            used[to].0 = used[to].0.max(usize::from(input) + 1);
        }
        for (class, (inputs, outputs)) in self.classes.iter().zip(used) {
            let (input_count, output_count) = ports::counts(class.ports, inputs);
            let side = |output, count| {
                (0..count)
                    .map(|port| ports::processing(class.processing, output, port))
                    .collect()
            };
            self.ports.push(Ports {
                inputs: side(false, input_count.clamp(inputs)),
                outputs: side(true, output_count.clamp(outputs)),
            });
        }
        for connection in self.connections.clone() {
            let (from, output) = connection.from;
            let (to, input) = connection.to;
            if usize::from(input) >= self.ports[to].inputs.len() {
                let message = format!("{} has no input {input}", self.describe(to));
                self.error_at_element(to, message, None);
            }
            if usize::from(output) >= self.ports[from].outputs.len() {
                let message = format!("{} has no output {output}", self.describe(from));
                self.error_at_element(from, message, None);
            }
        }
    }

    fn output(&self, connection: &FlatConnection) -> Option<Processing> {
        self.ports[connection.from.0]
            .outputs
            .get(usize::from(connection.from.1))
            .copied()
    }

    fn input(&self, connection: &FlatConnection) -> Option<Processing> {
        self.ports[connection.to.0]
            .inputs
            .get(usize::from(connection.to.1))
            .copied()
    }

    /// Carries push and pull along connections and through elements until nothing changes.
    /// What nothing decides is push.
    fn settle(&mut self) {
        let connections = self.connections.clone();
        let through = self.agnostic_pairs();
        let mut reported = alloc::vec![false; connections.len() + through.len()];
        loop {
            let mut changed = false;
            for (connection, reported) in connections.iter().zip(&mut reported) {
                let (Some(from), Some(to)) = (self.output(connection), self.input(connection))
                else {
                    continue;
                };
                match (from, to) {
                    (Processing::Agnostic, Processing::Agnostic) => {}
                    (Processing::Agnostic, known) => {
                        self.ports[connection.from.0].outputs[usize::from(connection.from.1)] =
                            known;
                        changed = true;
                    }
                    (known, Processing::Agnostic) => {
                        self.ports[connection.to.0].inputs[usize::from(connection.to.1)] = known;
                        changed = true;
                    }
                    (from, to) if from != to && !*reported => {
                        *reported = true;
                        self.mismatch(connection, from, to);
                    }
                    _ => {}
                }
            }
            for (&(element, input, output), reported) in
                through.iter().zip(&mut reported[connections.len()..])
            {
                let ports = &mut self.ports[element];
                match (ports.inputs[input], ports.outputs[output]) {
                    (Processing::Agnostic, Processing::Agnostic) => {}
                    (Processing::Agnostic, known) => {
                        ports.inputs[input] = known;
                        changed = true;
                    }
                    (known, Processing::Agnostic) => {
                        ports.outputs[output] = known;
                        changed = true;
                    }
                    (from, to) if from != to && !*reported => {
                        *reported = true;
                        self.mixed(element, input, output);
                    }
                    _ => {}
                }
            }
            if !changed {
                break;
            }
        }
        for ports in &mut self.ports {
            for port in ports.inputs.iter_mut().chain(&mut ports.outputs) {
                if *port == Processing::Agnostic {
                    *port = Processing::Push;
                }
            }
        }
    }

    /// The agnostic inputs and outputs that an element connects inside: they must agree.
    fn agnostic_pairs(&self) -> Vec<(usize, usize, usize)> {
        let mut pairs = Vec::new();
        for (element, (ports, class)) in self.ports.iter().zip(self.classes).enumerate() {
            for (input, of_input) in ports.inputs.iter().enumerate() {
                for (output, of_output) in ports.outputs.iter().enumerate() {
                    if *of_input == Processing::Agnostic
                        && *of_output == Processing::Agnostic
                        && ports::flows(class.flow, input, output)
                    {
                        pairs.push((element, input, output));
                    }
                }
            }
        }
        pairs
    }

    fn mismatch(&mut self, connection: &FlatConnection, from: Processing, to: Processing) {
        let (from_name, to_name) = (
            self.describe(connection.from.0),
            self.describe(connection.to.0),
        );
        let message = format!(
            "{from_name} {} output {} connected to {to_name} {} input {}",
            word(from),
            connection.from.1,
            word(to),
            connection.to.1
        );
        let elements = &self.flat.elements;
        let (source, sink) = (
            &elements[connection.from.0].name,
            &elements[connection.to.0].name,
        );
        let insert = if from == Processing::Push {
            "Queue"
        } else {
            "Unqueue"
        };
        let help = format!(
            "{from_name} {}es packets and {to_name} {}s them: put {insert} in between, \
             '{source} [{}] -> {insert} -> [{}] {sink}'",
            word(from),
            word(to),
            connection.from.1,
            connection.to.1
        );
        let help = help
            .replace(" pulles ", " has its packets pulled ")
            .replace(" pushs ", " has packets pushed to it ");
        let diagnostic = Diagnostic::error(message).at_unsaid(&connection.landmark);
        self.diagnostics.push(diagnostic.help(help));
    }

    fn mixed(&mut self, element: usize, input: usize, output: usize) {
        let ports = &self.ports[element];
        let (from, to) = (ports.inputs[input], ports.outputs[output]);
        let name = self.describe(element);
        let message = format!(
            "agnostic {name} in mixed context: {} input {input}, {} output {output}",
            word(from),
            word(to)
        );
        let insert = if from == Processing::Push {
            "Queue"
        } else {
            "Unqueue"
        };
        let help = format!(
            "{name} passes packets on as it gets them, and its two sides differ: put {insert} before or after it"
        );
        let landmark = &self.flat.elements[element].landmark;
        self.diagnostics
            .push(Diagnostic::error(message).at_unsaid(landmark).help(help));
    }

    /// Every port must be used, push outputs and pull inputs by one connection only.
    fn check_use(&mut self) {
        let flat = self.flat;
        let to: Vec<Port> = self.connections.iter().map(|c| c.to).collect();
        let mut from: Vec<Port> = self.connections.iter().map(|c| c.from).collect();
        sort(&mut from);
        for pair in to.windows(2) {
            let (element, port) = pair[1];
            let processing = self.ports[element].inputs[usize::from(port)];
            if pair[0] == pair[1] && processing == Processing::Pull {
                let message = format!(
                    "illegal reuse of {} pull input {port}",
                    self.describe(element)
                );
                let help = "put a scheduler such as RoundRobinSched before it to pull from both";
                self.error_at_element(element, message, Some(help));
            }
        }
        for pair in from.windows(2) {
            let (element, port) = pair[1];
            let processing = self.ports[element].outputs[usize::from(port)];
            if pair[0] == pair[1] && processing == Processing::Push {
                let message = format!(
                    "illegal reuse of {} push output {port}",
                    self.describe(element)
                );
                let help =
                    "put a Tee after it to send each packet both ways, or a switch to choose";
                self.error_at_element(element, message, Some(help));
            }
        }
        let used = |ends: &[Port]| {
            let mut used: Vec<Vec<bool>> = flat.elements.iter().map(|_| Vec::new()).collect();
            for &(element, port) in ends {
                let used = &mut used[element];
                used.resize(used.len().max(usize::from(port) + 1), false);
                used[usize::from(port)] = true;
            }
            used
        };
        for (side, used) in [("input", used(&to)), ("output", used(&from))] {
            for (element, used) in used.iter().enumerate() {
                let ports = &self.ports[element];
                let count = match side {
                    "input" => ports.inputs.len(),
                    _ => ports.outputs.len(),
                };
                for port in (0..count).filter(|&port| used.get(port) != Some(&true)) {
                    let message = format!("{} {side} {port} unused", self.describe(element));
                    self.error_at_element(element, message, None);
                }
            }
        }
    }
}

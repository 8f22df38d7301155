//! Ports: how many each element has, which push and which pull, and what is wrong with them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ports::{self, Processing};
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
    let mut resolver = Resolver {
        flat,
        classes,
        ports: Vec::new(),
        diagnostics,
    };
    resolver.count();
    resolver.settle();
    resolver.check_use();
    resolver.ports
}

struct Resolver<'a> {
    flat: &'a Flat,
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

    fn error_at_element(&mut self, element: usize, message: String) {
        self.diagnostics
            .error(&self.flat.elements[element].landmark, message);
    }

    fn error_at(&mut self, connection: &FlatConnection, message: String, help: Option<String>) {
        let mut diagnostic = Diagnostic::error(message).at(&connection.landmark);
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
        for connection in &flat.connections {
            let (from, output) = connection.from;
            let (to, input) = connection.to;
            if usize::from(output) >= self.ports[from].outputs.len() {
                let message = format!("{} has no output {output}", self.describe(from));
                self.error_at(connection, message, None);
            }
            if usize::from(input) >= self.ports[to].inputs.len() {
                let message = format!("{} has no input {input}", self.describe(to));
                self.error_at(connection, message, None);
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
        let flat = self.flat;
        let through = self.agnostic_pairs();
        let mut reported = alloc::vec![false; flat.connections.len() + through.len()];
        loop {
            let mut changed = false;
            for (connection, reported) in flat.connections.iter().zip(&mut reported) {
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
                through.iter().zip(&mut reported[flat.connections.len()..])
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
        self.error_at(connection, message, Some(help));
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
            .push(Diagnostic::error(message).at(landmark).help(help));
    }

    /// Every port must be used, push outputs and pull inputs by one connection only.
    fn check_use(&mut self) {
        let flat = self.flat;
        let mut inputs: Vec<Vec<u32>> = self
            .ports
            .iter()
            .map(|ports| alloc::vec![0; ports.inputs.len()])
            .collect();
        let mut outputs: Vec<Vec<u32>> = self
            .ports
            .iter()
            .map(|ports| alloc::vec![0; ports.outputs.len()])
            .collect();
        for connection in &flat.connections {
            let (from, output) = (connection.from.0, usize::from(connection.from.1));
            let (to, input) = (connection.to.0, usize::from(connection.to.1));
            if let Some(uses) = outputs[from].get_mut(output) {
                *uses += 1;
                if *uses == 2 && self.ports[from].outputs[output] == Processing::Push {
                    let message = format!(
                        "illegal reuse of {} push output {output}",
                        self.describe(from)
                    );
                    let help =
                        "put a Tee after it to send each packet both ways, or a switch to choose"
                            .into();
                    self.error_at(connection, message, Some(help));
                }
            }
            if let Some(uses) = inputs[to].get_mut(input) {
                *uses += 1;
                if *uses == 2 && self.ports[to].inputs[input] == Processing::Pull {
                    let message =
                        format!("illegal reuse of {} pull input {input}", self.describe(to));
                    let help =
                        "put a scheduler such as RoundRobinSched before it to pull from both"
                            .into();
                    self.error_at(connection, message, Some(help));
                }
            }
        }
        for element in 0..flat.elements.len() {
            for (port, uses) in inputs[element].iter().enumerate() {
                if *uses == 0 {
                    self.error_at_element(
                        element,
                        format!("{} input {port} unused", self.describe(element)),
                    );
                }
            }
            for (port, uses) in outputs[element].iter().enumerate() {
                if *uses == 0 {
                    self.error_at_element(
                        element,
                        format!("{} output {port} unused", self.describe(element)),
                    );
                }
            }
        }
    }
}

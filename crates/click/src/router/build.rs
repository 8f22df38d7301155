//! From a configuration text to a router that runs.

use crate::collections::sort_by_key;
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use sprat_packet::{Batch, Pool};

use super::ports::Processing;
use super::{Active, Input, Node, Output, Router, TIMERS, connect};
use crate::arguments::{Arguments, Rejected};
use crate::configure::{Configuration, Directory, ElementId, prefix_of};
use crate::diagnostics::{Diagnostic, Diagnostics, Landmark};
use crate::element::{Class, Element};
use crate::environment::Environment;
use crate::graph::Flat;
use crate::library::Library;
use crate::names::ScopedNames;
use crate::time::Instant;

/// Makes routers: knows the element classes, where routers run and how to read configurations.
///
/// Kept by the routers it makes, because a router can be told to replace itself (`hotconfig`).
pub struct Builder {
    library: Library,
    environment: Rc<dyn Environment>,
    pool: Pool,
    parse: Parse,
    hot_swap: bool,
    exact: bool,
}

/// Reads a configuration text, named by its second argument in messages.
pub type Parse = Box<dyn Fn(&Library, &str, &str) -> Result<(Flat, Diagnostics), Diagnostics>>;

/// What a router was made from.
pub(crate) struct Source {
    pub(crate) builder: Rc<Builder>,
    pub(crate) text: Rc<str>,
    pub(crate) flat: Flat,
}

/// A configuration that did not become a router.
#[derive(Clone, Debug)]
pub struct BuildError {
    /// All that was found wrong.
    pub diagnostics: Diagnostics,
    /// Whether the configuration could be read, and it was its elements that refused.
    pub readable: bool,
}

impl Builder {
    /// A builder of routers out of these classes, in this environment.
    pub fn new(
        library: Library,
        environment: Rc<dyn Environment>,
        pool: Pool,
        parse: Parse,
    ) -> Self {
        Self {
            library,
            environment,
            pool,
            parse,
            hot_swap: false,
            exact: false,
        }
    }

    /// Has routers offer the `hotconfig` handler.
    #[must_use]
    pub fn hot_swap(mut self, allowed: bool) -> Self {
        self.hot_swap = allowed;
        self
    }

    /// Has packets go through routers one by one whatever the elements say.
    #[must_use]
    pub fn exact(mut self, exact: bool) -> Self {
        self.exact = exact;
        self
    }

    /// Whether routers offer the `hotconfig` handler.
    pub(crate) fn swaps(&self) -> bool {
        self.hot_swap
    }

    /// The element classes.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Makes a router of a configuration text, called `file` in messages, and initializes it.
    /// Warnings come with the router.
    pub fn build(
        self: &Rc<Self>,
        text: &str,
        file: &str,
    ) -> Result<(Router, Diagnostics), BuildError> {
        let built = self.prepare(text, file)?;
        built.0.start();
        Ok(built)
    }

    /// Makes a router and initializes it, but has its elements do nothing yet:
    /// [`start`](Router::start) is for who runs it.
    pub fn prepare(
        self: &Rc<Self>,
        text: &str,
        file: &str,
    ) -> Result<(Router, Diagnostics), BuildError> {
        self.build_instead(text, file, None)
    }

    /// Makes a router that is going to take the place of another, and starts when it does.
    fn build_instead(
        self: &Rc<Self>,
        text: &str,
        file: &str,
        replaced: Option<&Router>,
    ) -> Result<(Router, Diagnostics), BuildError> {
        let (flat, mut diagnostics) =
            (self.parse)(&self.library, text, file).map_err(|diagnostics| BuildError {
                diagnostics,
                readable: false,
            })?;
        match self.put_together(text, flat, replaced, &mut diagnostics) {
            Some(router) => Ok((router, diagnostics)),
            None => Err(BuildError {
                diagnostics,
                readable: true,
            }),
        }
    }

    /// Makes a router of a flat configuration whose `text` is what `config` shows, and
    /// initializes it. `None` where `diagnostics` now holds errors.
    pub fn assemble(
        self: &Rc<Self>,
        text: &str,
        flat: Flat,
        diagnostics: &mut Diagnostics,
    ) -> Option<Router> {
        let router = self.put_together(text, flat, None, diagnostics)?;
        router.start();
        Some(router)
    }

    /// Looks a flat configuration over as far as that goes without what is outside: classes,
    /// connections and arguments. `diagnostics` then holds what is wrong with it.
    pub fn check(&self, flat: &Flat, diagnostics: &mut Diagnostics) {
        let Some(classes) = self.classes(flat, diagnostics) else {
            return;
        };
        let ports = connect::resolve(flat, &classes, diagnostics);
        if !diagnostics.has_errors() {
            let directory = directory(flat, &classes, &ports);
            let order = configure_order(&classes);
            // The elements have done what they were made for.
            let _ = self.configure(flat, &directory, &order, &ports, diagnostics);
        }
    }

    fn put_together(
        self: &Rc<Self>,
        text: &str,
        flat: Flat,
        replaced: Option<&Router>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Router> {
        let classes = self.classes(&flat, diagnostics)?;
        let ports = connect::resolve(&flat, &classes, diagnostics);
        if diagnostics.has_errors() {
            return None;
        }
        let directory = directory(&flat, &classes, &ports);
        let order = configure_order(&classes);
        let elements = self.configure(&flat, &directory, &order, &ports, diagnostics)?;
        let mut router = Router {
            directory,
            nodes: nodes(&flat, &classes, &ports, elements, replaced),
            order,
            environment: self.environment.clone(),
            pool: self.pool.clone(),
            source: Source {
                builder: self.clone(),
                text: text.into(),
                flat,
            },
            diagnostics: RefCell::default(),
            delivery: super::deliver::Delivery::default(),
            running: Cell::new(0),
            scheduler: super::schedule::Scheduler::default(),
            random: Cell::new(1),
            exact: Cell::new(self.exact),
            sampling: super::cost::Sampling::default(),
            run_count: Cell::new(1),
            driver_manager: Cell::new(None),
            watchers: RefCell::default(),
            listeners: RefCell::default(),
            replacement: RefCell::default(),
            complaints: super::complaints::Complaints::default(),
        };
        router.seed_random(self.environment.random_seed());
        router.connect_signals();
        let refused = router.initialize();
        diagnostics.append(router.take_diagnostics());
        (refused.is_ok() && !diagnostics.has_errors()).then_some(router)
    }

    fn classes(&self, flat: &Flat, diagnostics: &mut Diagnostics) -> Option<Vec<&'static Class>> {
        let mut classes = Vec::with_capacity(flat.elements.len());
        for element in &flat.elements {
            match self.library.find(&element.class) {
                Some(class) => classes.push(class),
                None => {
                    diagnostics.error(
                        &element.landmark,
                        format!("unknown element class '{}'", element.class),
                    );
                }
            }
        }
        (classes.len() == flat.elements.len()).then_some(classes)
    }

    fn configure(
        &self,
        flat: &Flat,
        directory: &Directory,
        order: &[ElementId],
        ports: &[connect::Ports],
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<Box<dyn Element>>> {
        let unfinished = RefCell::new((0..flat.elements.len()).map(|_| None).collect::<Vec<_>>());
        for id in order.iter().copied() {
            let index = id.index();
            let configuration = Configuration {
                id,
                inputs: ports[index].inputs.len(),
                outputs: ports[index].outputs.len(),
                directory,
                unfinished: &unfinished,
                environment: &self.environment,
                pool: &self.pool,
            };
            let (made, found) = construct(
                &flat.elements[index].config,
                &flat.elements[index].landmark,
                &configuration,
            );
            diagnostics.append(found);
            unfinished.borrow_mut()[index] = made.ok();
        }
        unfinished.into_inner().into_iter().collect()
    }
}

/// Makes one element, with what it had to say about its configuration string.
fn construct(
    config: &str,
    landmark: &Landmark,
    configuration: &Configuration<'_>,
) -> (Result<Box<dyn Element>, Rejected>, Diagnostics) {
    let class = configuration.class_of(configuration.id);
    let names = ScopedNames::new(
        configuration.addresses(),
        configuration.scope(),
        &**configuration.environment,
    );
    let mut arguments = Arguments::new(config, &names);
    let made = (class.construct)(&mut arguments, configuration);
    let mut diagnostics = Diagnostics::new();
    let context = format!(
        "While configuring '{} :: {}':",
        configuration.name(),
        class.name
    );
    let silent = made.is_err() && arguments.messages().is_empty();
    arguments.report(landmark, &context, &mut diagnostics);
    if silent {
        // An element that refuses must say why; this keeps the refusal from being lost.
        diagnostics.push(
            Diagnostic::error("configuration refused")
                .at(landmark)
                .within(context),
        );
    }
    let refused = diagnostics.has_errors();
    (if refused { Err(Rejected) } else { made }, diagnostics)
}

fn directory(flat: &Flat, classes: &[&'static Class], ports: &[connect::Ports]) -> Directory {
    let names: Vec<Rc<str>> = flat
        .elements
        .iter()
        .map(|element| element.name.clone())
        .collect();
    let by_name = names
        .iter()
        .enumerate()
        .map(|(index, name)| (name.clone(), ElementId::from_index(index)))
        .collect();
    Directory {
        names,
        classes: classes.to_vec(),
        outputs: ports.iter().map(|ports| ports.outputs.len()).collect(),
        by_name,
        addresses: RefCell::default(),
    }
}

fn configure_order(classes: &[&'static Class]) -> Vec<ElementId> {
    let mut order: Vec<ElementId> = (0..classes.len()).map(ElementId::from_index).collect();
    sort_by_key(&mut order, |id| classes[id.index()].phase);
    order
}

fn nodes(
    flat: &Flat,
    classes: &[&'static Class],
    ports: &[connect::Ports],
    elements: Vec<Box<dyn Element>>,
    replaced: Option<&Router>,
) -> Vec<Node> {
    let mut nodes: Vec<Node> = elements
        .into_iter()
        .enumerate()
        .map(|(index, element)| {
            let output = |processing: &Processing| Output {
                push: *processing == Processing::Push,
                target: None,
                batch: Batch::new(),
            };
            let input = |processing: &Processing| Input {
                push: *processing == Processing::Push,
                source: None,
                connected: Vec::new(),
            };
            let agent = RefCell::new(element.agent());
            Node {
                class: classes[index],
                config: RefCell::new(flat.elements[index].config.clone()),
                landmark: flat.elements[index].landmark.clone(),
                inputs: ports[index].inputs.iter().map(input).collect(),
                active: RefCell::new(Active {
                    element,
                    outputs: ports[index].outputs.iter().map(output).collect(),
                    touched: Vec::new(),
                }),
                task: super::schedule::Task::default(),
                timers: [const { Cell::new(Instant::NEVER) }; TIMERS],
                signal: super::signal::State::default(),
                traffic: super::Traffic::default(),
                time: Cell::new(0),
                agent,
                inherits: replaced.is_some_and(|router| {
                    let old = router.directory.by_name.get(&flat.elements[index].name);
                    old.is_some_and(|old| router.class(*old).name == classes[index].name)
                }),
            }
        })
        .collect();
    for connection in &flat.connections {
        let (from, output) = connection.from;
        let (to, input) = connection.to;
        let source = (ElementId::from_index(from), output);
        let input_port = &mut nodes[to].inputs[usize::from(input)];
        input_port.connected.push(source);
        if !input_port.push {
            input_port.source = Some(source);
        }
        let output_port = &mut nodes[from].active.get_mut().outputs[usize::from(output)];
        if output_port.push {
            output_port.target = Some((ElementId::from_index(to), input));
        }
    }
    nodes
}

impl Router {
    fn initialize(&self) -> Result<(), Rejected> {
        for id in self.order.iter().copied() {
            // After the first that refuses no other is asked.
            self.enter(id, |element, context| element.initialize(context))
                .unwrap_or(Ok(()))?;
            self.deliver();
        }
        Ok(())
    }

    /// Makes one element anew from another configuration string, keeping its state.
    pub(crate) fn reconfigure(&self, id: ElementId, config: &str) -> Result<(), Vec<String>> {
        let node = self.node(id);
        let nothing = RefCell::new(Vec::new());
        let outputs = node
            .active
            .try_borrow()
            .map_err(|_| Vec::from([String::from("element is running")]))?
            .outputs
            .len();
        let configuration = Configuration {
            id,
            inputs: node.inputs.len(),
            outputs,
            directory: &self.directory,
            unfinished: &nothing,
            environment: &self.environment,
            pool: &self.pool,
        };
        let (made, found) = construct(config, &node.landmark, &configuration);
        let mut old = match made {
            Ok(element) => {
                for diagnostic in &found {
                    self.warn(&format!("warning: {}", diagnostic.message));
                }
                let mut active = node.active.borrow_mut();
                *node.agent.borrow_mut() = element.agent();
                core::mem::replace(&mut active.element, element)
            }
            Err(Rejected) => return Err(messages(&found)),
        };
        let initialized = self.enter(id, |element, context| {
            let initialized = element.initialize(context);
            if initialized.is_ok() {
                element.keep_state(context, &mut *old);
            }
            initialized
        });
        if initialized == Some(Err(Rejected)) {
            *node.agent.borrow_mut() = old.agent();
            node.active.borrow_mut().element = old;
            return Err(messages(&self.take_diagnostics()));
        }
        *node.config.borrow_mut() = config.into();
        Ok(())
    }

    /// Prepares a router of another configuration to take this one's place; the driver swaps
    /// them when it next looks.
    pub(crate) fn replace_with(&self, text: &str) -> Result<(), Vec<String>> {
        let builder = &self.source.builder;
        match builder.build_instead(text, "config", Some(self)) {
            Ok((router, said)) => {
                if !said.is_empty() {
                    self.warn(&format!("{said}"));
                }
                *self.replacement.borrow_mut() = Some(Box::new(router));
                Ok(())
            }
            Err(error) => {
                let mut lines: Vec<String> = format!("{}", error.diagnostics)
                    .lines()
                    .map(String::from)
                    .collect();
                if error.readable {
                    lines.push("Router could not be initialized!".into());
                }
                Err(lines)
            }
        }
    }

    /// The prefix of compound elements in an element's name.
    pub fn scope(&self, id: ElementId) -> &str {
        prefix_of(self.name(id))
    }
}

fn messages(diagnostics: &Diagnostics) -> Vec<String> {
    diagnostics
        .iter()
        .map(|diagnostic| diagnostic.message.clone())
        .collect()
}

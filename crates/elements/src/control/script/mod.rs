mod expand;
mod format;
mod functions;
mod machine;
mod number;
mod poke_handlers;
mod program;
#[cfg(test)]
mod tests;

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::arguments::split_words;
use sprat_click::{
    Agent, Arguments, Class, Configuration, Configure, Context, Element, Phase, Rejected,
};
use sprat_packet::Batch;

use functions::signal_number;
use machine::Machine;
use program::Program;

pub(super) const SCRIPT: Class = Class::of::<Script>("Script")
    .ports("-/-")
    .processing("a/a")
    .phase(Phase::Last);
pub(super) const DRIVER_MANAGER: Class = SCRIPT.named("DriverManager");
pub(super) const POKE_HANDLERS: Class = SCRIPT.named("PokeHandlers");

/// Script: a list of instructions that is run at the start, or when something happens.
///
/// ```click
/// Script([TYPE type,] INSTRUCTION, INSTRUCTION, ...)
/// DriverManager(INSTRUCTION, ...)
/// PokeHandlers(DIRECTIVE, ...)
/// ```
///
/// TYPE says when it runs:
/// - ACTIVE: from the start on. The default for a Script without ports.
/// - PASSIVE: when its handlers `run`, `goto` or `step` are called.
/// - PACKET: for each packet; `return N` sends it to output N, `end` to output 0; a port that is
///   not there, `exit`, `error` and a wait drop it. The default for a Script with ports.
/// - PROXY: when any handler is called that it does not have itself; `$0` is the handler's name.
/// - DRIVER: from the start on; each time the driver is asked to stop it takes a step instead,
///   and the driver stops when the script has ended. The default for a DriverManager.
/// - SIGNAL name ...: whenever such a signal (`INT`, `USR1`) has arrived.
///
/// Instructions; those with a form in q take one layer of quotation marks off their value, or off what
/// the handler is given:
/// - `set VARIABLE TEXT`, `setq`: gives a variable a value.
/// - `init VARIABLE TEXT`, `initq`: the same, once and before the script runs.
/// - `export VARIABLE TEXT`, `exportq`: as init; the variable can be read as a handler.
/// - `print [>FILE | >>FILE] HANDLER`, `print … TEXT`, `printq`, `printn`, `printnq`: writes a
///   handler's value, or a text that does not begin with a letter, to a file or the standard
///   output, with a newline unless the name has an n.
/// - `save HANDLER [FILE]`, `append HANDLER [FILE]`: `print` to a file, or to its end.
/// - `read HANDLER`, `readq`: writes a handler's name and value to the standard error output.
/// - `write HANDLER VALUE`, `writeq`: writes a handler; `$?` is zero where that worked, and stays as it was
///   where there is no such handler.
/// - `pause [N]`, `wait`, `wait_step [N]`, `wait_stop [N]`, `wait_pause [N]`: waits until the script has been
///   stepped N times, which is once unless said otherwise.
/// - `wait TIME`, `wait_time TIME`, `wait_for TIME`: waits that long, or until the script is stepped.
/// - `label NAME`, `goto NAME [CONDITION]`, `loop`: jumps, where the condition is true; `loop`
///   jumps to the start. Labels `begin`, `end`, `exit` and `stop` need not be defined. A script
///   that jumps 1000 times without waiting is ended.
/// - `return [VALUE]`, `returnq`: ends the script with a value.
/// - `end`, `quit`: ends this run. `exit`: the same, and no signal begins another. `stop`: also asks the
///   driver to stop.
/// - `error TEXT`, `errorq`: ends this run with a message, which is the error of the handler that ran the
///   script, where one did.
///
/// In all texts `$VARIABLE`, `${VARIABLE-DEFAULT}` and `$(HANDLER ARGUMENTS)` are replaced,
/// outside single quotes. `$args`, `$1` …, `$#` are the arguments of the handler that runs the
/// script, `$0` its name, `$write` whether it was written, `$input` a packet's input, `$?` the
/// status of the last write and `$$` the process.
///
/// Handlers: `step`, `goto`, `set` (write), `run` (read, write), `get`, `shift` (which takes the first word
/// from a variable or from `$args`) and the functions (read), which need no element name within the
/// script: `add sub mul div idiv mod rem neg abs min max`, `eq ne lt gt le ge not and or nand nor if in`,
/// `sprintf first random length unquote now htons htonl ntohs ntohl`, `readable writable cat catq kill`;
/// exported variables (read).
///
/// PokeHandlers, an older element, takes handlers with the values to write, `HANDLER VALUE`, and times to
/// wait between them, in seconds; `quit` ends it and stops the driver. It takes instructions as well.
///
/// See Click's manual pages Script(n), DriverManager(n) and PokeHandlers(n).
struct Script {
    machine: Rc<Machine>,
}

/// When a script runs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Active,
    Passive,
    Packet,
    Proxy,
    Driver,
    Signal(Vec<i32>),
}

impl Kind {
    /// Whether it can wait within a run.
    fn waits(&self) -> bool {
        !matches!(self, Self::Packet | Self::Proxy)
    }

    /// Whether it runs from the start.
    fn starts(&self) -> bool {
        matches!(self, Self::Active | Self::Driver)
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let words = split_words(text);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(match words[..] {
            ["ACTIVE"] => Self::Active,
            ["PASSIVE"] => Self::Passive,
            ["PACKET" | "PUSH"] => Self::Packet,
            ["PROXY"] => Self::Proxy,
            ["DRIVER"] => Self::Driver,
            ["SIGNAL", ref names @ ..] => {
                let signals = names.iter().map(|name| signal_number(name));
                match signals.collect::<Option<Vec<i32>>>() {
                    Some(signals) if !signals.is_empty() => Self::Signal(signals),
                    _ => return Err("bad signal number"),
                }
            }
            _ => return Err("bad TYPE"),
        })
    }
}

impl Configure for Script {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let kind = arguments.keyword::<sprat_click::arguments::Raw>("TYPE");
        let kind = match kind.map(|raw| Kind::parse(&raw.0)) {
            Some(Ok(kind)) => kind,
            Some(Err(message)) => return Err(arguments.error(message)),
            None if configuration.inputs() > 0 || configuration.outputs() > 0 => Kind::Packet,
            None if configuration.class_of(configuration.id()).name == "DriverManager" => {
                Kind::Driver
            }
            None => Kind::Active,
        };
        let manages = |script: &mut Self| script.machine.kind == Kind::Driver;
        let managed = |id| configuration.with(id, manages) == Some(true);
        if kind == Kind::Driver && configuration.elements().any(managed) {
            return Err(arguments.error("router has more than one driver script"));
        }
        if kind == Kind::Packet && configuration.inputs() == 0 {
            return Err(arguments.error("PACKET script must have inputs"));
        }
        if kind != Kind::Packet && (configuration.inputs() > 0 || configuration.outputs() > 0) {
            return Err(arguments.error("ports allowed only on PACKET scripts"));
        }
        let mut texts = arguments.rest();
        if configuration.class_of(configuration.id()).name == POKE_HANDLERS.name {
            for text in &mut texts {
                *text = poke_handlers::instruction(text);
            }
        }
        let mut program = Program::read(&texts, |message| {
            arguments.error(message);
        });
        if kind == Kind::Driver {
            program.wait_where_empty();
        }
        arguments.finish()?;
        Ok(Self {
            machine: Machine::new(kind, program),
        })
    }
}

impl Script {
    /// Runs the script for each packet of a batch and puts it where the script says.
    fn sort(&mut self, context: &mut Context<'_>, input: usize, batch: &mut Batch) {
        let count = batch.len();
        for packet in batch.drain_front(count) {
            if let Some(port) = self.machine.run_packet(context, input) {
                context.emit(port, packet);
            }
        }
    }
}

impl Element for Script {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        match &self.machine.kind {
            Kind::Packet => context.observe_order(),
            Kind::Driver => {
                context.manage_driver();
            }
            Kind::Signal(signals) => {
                for signal in signals {
                    context.environment().signal(context.id().index(), *signal);
                }
                context.watch();
            }
            Kind::Active | Kind::Passive | Kind::Proxy => {}
        }
        let machine = self.machine.clone();
        machine.initialize(context);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        self.sort(context, port, batch);
    }

    fn pull(&mut self, context: &mut Context<'_>, port: usize, limit: usize, batch: &mut Batch) {
        // Of several outputs that are pulled, each has its own input.
        let input = port.min(context.inputs().saturating_sub(1));
        context.pull(input, limit, batch);
        let machine = self.machine.clone();
        batch.retain(|_| machine.run_packet(context, input) == Some(port));
    }

    fn agent(&self) -> Option<Rc<dyn Agent>> {
        Some(self.machine.clone())
    }

    fn take_state(&mut self, _: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>()
            && self.machine.kind == Kind::Packet
        {
            self.machine.take_variables(&old.machine);
        }
    }
}

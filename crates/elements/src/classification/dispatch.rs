//! What the classifying elements have in common: rules with their outputs, and sending each
//! packet of a batch where its rule says.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write;

use sprat_click::arguments::unquote;
use sprat_click::{Arguments, Context, Rejected};
use sprat_packet::{Batch, Packet};

use super::ip_pattern::read_ip_pattern;
use super::{Expression, Headers, Layout, Listing, NO_RULE, Program, Workspace};

/// One rule of an element.
pub(super) struct Rule {
    /// As configured.
    pub(super) text: String,
    /// What it matches.
    pub(super) expression: Expression,
    /// Where its packets go; nowhere if `None`.
    pub(super) output: Option<usize>,
}

/// Compiled rules, and what they decided so far.
pub(super) struct Dispatch {
    rules: Vec<Rule>,
    program: Program,
    workspace: Workspace,
    layout: Layout,
    /// For each rule where its packets go; the last is for packets that no rule matches.
    outputs: Vec<Option<usize>>,
    /// For each rule the packets it decided; the last is for those that no rule matches.
    counts: Vec<u64>,
    /// Which rule decides each packet of the batch at hand.
    decided: Vec<u16>,
}

/// The arguments as patterns: unquoted where they were quoted.
pub(super) fn patterns(arguments: &mut Arguments<'_>) -> Vec<String> {
    let mut rest = arguments.rest();
    for pattern in &mut rest {
        if pattern.contains(['"', '\'']) {
            *pattern = unquote(pattern);
        }
    }
    rest
}

/// Says that a pattern is wrong.
pub(super) fn pattern_error(
    arguments: &mut Arguments<'_>,
    number: usize,
    error: &dyn core::fmt::Display,
) {
    for line in error.to_string().lines() {
        arguments.error(format!("pattern {number}: {line}"));
    }
}

/// Reads an element's IP pattern; says what is wrong with it, and what may not be meant.
pub(super) fn ip_pattern(
    arguments: &mut Arguments<'_>,
    number: usize,
    pattern: &str,
) -> Option<Expression> {
    let mut warnings = Vec::new();
    let read = read_ip_pattern(pattern, arguments.names(), &mut warnings);
    for warning in warnings {
        arguments.message(format!("pattern {number}: warning: {warning}"));
    }
    read.map_err(|error| pattern_error(arguments, number, &error))
        .ok()
}

impl Dispatch {
    /// Compiles an element's rules.
    pub(super) fn new(
        rules: Vec<Rule>,
        layout: Layout,
        arguments: &mut Arguments<'_>,
    ) -> Result<Self, Rejected> {
        arguments.finish()?;
        let compiled = Program::compile(rules.iter().map(|rule| &rule.expression));
        let program = compiled.map_err(|error| arguments.error(error.to_string()))?;
        let mut outputs: Vec<_> = rules.iter().map(|rule| rule.output).collect();
        outputs.push(None);
        Ok(Self {
            counts: vec![0; outputs.len()],
            rules,
            workspace: program.workspace(),
            program,
            layout,
            outputs,
            decided: Vec::new(),
        })
    }

    /// Says which patterns no packet can match, where each has an output.
    pub(super) fn warn_of_unused(&self, arguments: &mut Arguments<'_>) {
        for (output, possible) in (0..).zip(self.program.possible(self.rules.len())) {
            if !possible {
                arguments.warning(format!("output {output} matches no packets"));
            }
        }
    }

    /// How many rules there are.
    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Sends each packet out where its rule says.
    pub(super) fn send(
        &mut self,
        context: &mut Context<'_>,
        batch: &mut Batch,
        headers: impl Fn(&Packet) -> Headers<'_>,
    ) {
        self.decided.clear();
        self.decided.resize(batch.len(), NO_RULE);
        self.program.classify_batch(
            batch.as_slice(),
            headers,
            &mut self.decided,
            &mut self.workspace,
        );
        let last = self.rules.len();
        let mut common = None;
        let mut alike = true;
        for rule in &self.decided {
            let rule = usize::from(*rule).min(last);
            self.counts[rule] += 1;
            let output = self.outputs[rule];
            alike &= *common.get_or_insert(output) == output;
        }
        match common {
            // All the same way, which is most often so.
            Some(Some(output)) if alike => context.forward(output, batch),
            Some(None) if alike => batch.clear(),
            _ => {
                for (packet, rule) in batch.drain().zip(&self.decided) {
                    if let Some(output) = self.outputs[usize::from(*rule).min(last)] {
                        context.emit(output, packet);
                    }
                }
            }
        }
    }

    /// The `program` handler.
    pub(super) fn program(&self) -> String {
        let rules: Vec<_> = self
            .rules
            .iter()
            .map(|rule| (&rule.expression, rule.output))
            .collect();
        Listing::new(&rules, self.layout).to_string()
    }

    /// The `pattern` handlers: the rule's text.
    pub(super) fn text(&self, number: usize) -> Option<&str> {
        self.rules.get(number).map(|rule| rule.text.as_str())
    }

    /// The `counts` handler: packets decided, then the rule; `-` stands for no rule.
    pub(super) fn counts(&self) -> String {
        let mut lines = String::new();
        let texts = self.rules.iter().map(|rule| rule.text.as_str());
        for (count, text) in self.counts.iter().zip(texts.chain(["-"])) {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "{count}\t{text}");
        }
        lines
    }

    /// Forgets what was counted.
    pub(super) fn reset(&mut self) {
        self.counts.fill(0);
    }

    /// The configuration string.
    pub(super) fn configuration(&self) -> String {
        let texts: Vec<_> = self.rules.iter().map(|rule| rule.text.as_str()).collect();
        texts.join(", ")
    }

    /// Takes over the counts of rules that stayed the same.
    pub(super) fn take_state(&mut self, old: &Self) {
        if self
            .rules
            .iter()
            .map(|rule| &rule.text)
            .eq(old.rules.iter().map(|rule| &rule.text))
        {
            self.counts.copy_from_slice(&old.counts);
        }
    }

    /// The memory of the compiled program and its workspace, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.program.bytes() + self.workspace.bytes()
    }
}

//! Fewer steps that decide the same.

use alloc::vec::Vec;

use super::Layout;
use super::paths;
use super::step::{Step, Target};

/// Of more steps than these the ways to them are not followed: that takes time by their square.
const FOLLOWED: usize = 4096;

impl Layout {
    /// Where a step's word counts as lying when steps are put in order: a packet's protocol comes
    /// before all else in its headers.
    fn order(self, step: &Step) -> u32 {
        match (self, step.offset) {
            (Self::Ip, 264) => 259,
            (_, offset) => offset,
        }
    }
}

/// Reduces steps; returns where all packets go, where there is no step left.
pub(super) fn reduce(steps: &mut Vec<Step>, layout: Layout) -> Option<Target> {
    arrange(steps, layout);
    if steps.len() <= FOLLOWED {
        paths::shorten(steps);
    }
    let mut open = steps.len();
    while open > 0 {
        if !combine(steps, open - 1) {
            open -= 1;
        }
    }
    prune(steps)
}

/// Puts steps of which either order will do in that of the bytes they look at.
pub(super) fn arrange(steps: &mut [Step], layout: Layout) {
    // The only step that leads to each; none where there are several, or where it is the first,
    // which stays where it is.
    let mut sources = alloc::vec![None; steps.len()];
    let mut reached = alloc::vec![false; steps.len()];
    for (number, step) in steps.iter().enumerate() {
        for target in [step.no, step.yes] {
            if let Target::Step(next) = target {
                sources[next] = (number > 0 && !reached[next]).then_some(number);
                reached[next] = true;
            }
        }
    }
    let mut number = 0;
    while number < steps.len() {
        let here = steps[number];
        let swapped = [false, true].into_iter().find_map(|answer| {
            let Target::Step(next) = here.target(answer) else {
                return None;
            };
            let there = steps[next];
            let rank = |step: &Step| (layout.order(step), step.mask);
            let later = rank(&here) > rank(&there)
                || rank(&here) == rank(&there) && here.value > there.value;
            let apart = here.target(!answer) == there.target(!answer);
            (sources[next].is_some() && apart && later).then_some((answer, next, there))
        });
        let Some((answer, next, there)) = swapped else {
            number += 1;
            continue;
        };
        steps[next] = here;
        *steps[next].target_mut(answer) = there.target(answer);
        steps[number] = there;
        *steps[number].target_mut(answer) = Target::Step(next);
        // It may belong still further to the front.
        number = sources[number].unwrap_or(number);
    }
}

/// Makes one step of two where that decides the same; says whether it did.
fn combine(steps: &mut [Step], number: usize) -> bool {
    if let Target::Step(next) = steps[number].no {
        let next = steps[next];
        let step = &mut steps[number];
        if next.agrees_with(step, false) && step.has_opposite() {
            step.turn();
        } else if let Some(bit) = step.needless_bit(&next) {
            step.value &= !bit;
            step.mask &= !bit;
            step.no = next.no;
            return true;
        }
    }
    let Target::Step(next) = steps[number].yes else {
        return false;
    };
    if steps[number].no == steps[next].yes && steps[next].has_opposite() {
        steps[next].turn();
    }
    let next = steps[next];
    let step = &mut steps[number];
    if step.no != next.no || !step.agrees_with(&next, true) {
        return false;
    }
    if step.mask == 0 {
        step.offset = next.offset;
    }
    step.yes = next.yes;
    step.value |= next.value;
    step.mask |= next.mask;
    true
}

/// Takes out the steps that decide nothing or that no packet comes to.
fn prune(steps: &mut Vec<Step>) -> Option<Target> {
    // Where one that comes to a step really goes; steps lead to later ones only.
    let mut ends: Vec<Target> = alloc::vec![Target::Drop; steps.len()];
    for number in (0..steps.len()).rev() {
        let step = &mut steps[number];
        for target in step.targets_mut() {
            if let Target::Step(next) = *target {
                *target = ends[next];
            }
        }
        ends[number] = if step.yes != step.no && step.mask != 0 {
            Target::Step(number)
        } else {
            step.yes
        };
    }
    let first = match ends.first() {
        Some(Target::Step(first)) => *first,
        end => {
            steps.clear();
            return Some(end.copied().unwrap_or(Target::Drop));
        }
    };
    steps[0] = steps[first];
    let mut reached = alloc::vec![false; steps.len()];
    reached[0] = true;
    let mut kept = Vec::new();
    let mut numbers = alloc::vec![0; steps.len()];
    for (number, step) in steps.iter().enumerate() {
        if reached[number] {
            numbers[number] = kept.len();
            kept.push(*step);
            for target in [step.no, step.yes] {
                if let Target::Step(next) = target {
                    reached[next] = true;
                }
            }
        }
    }
    for step in &mut kept {
        for target in step.targets_mut() {
            if let Target::Step(next) = target {
                *next = numbers[*next];
            }
        }
    }
    *steps = kept;
    None
}

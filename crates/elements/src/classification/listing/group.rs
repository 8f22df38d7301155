//! Steps that compare one word with several values, together: where packets go through them, many
//! are looked for by halves, and stand in the order of their bytes as a number that has the last
//! first.

use alloc::vec::Vec;

use sprat_click::collections::sort_by_key;

use super::step::{Step, Target};

/// How many values are looked for by halves.
const MANY: usize = 7;

/// Puts steps together, the first of each group where it stood.
pub(super) fn together(steps: &[Step]) -> Vec<Step> {
    let mut entering = alloc::vec![0; steps.len()];
    if let Some(first) = entering.first_mut() {
        *first = 1;
    }
    for number in 0..steps.len() {
        if entering[number] > 0 {
            for target in [steps[number].no, steps[number].yes] {
                if let Target::Step(next) = target {
                    entering[next] += 1;
                }
            }
        }
    }
    let mut numbers = alloc::vec![0; steps.len()];
    let mut kept: Vec<Step> = Vec::new();
    // The last of each group, which leads on to steps by the numbers they had.
    let mut ends = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        if entering[number] == 0 {
            continue;
        }
        numbers[number] = kept.len();
        let mut values = alloc::vec![step.value];
        let mut no = step.no;
        while let Target::Step(next) = no {
            let other = &steps[next];
            let alike = other.yes == step.yes
                && other.offset == step.offset
                && other.mask == step.mask
                && entering[next] == 1;
            if !alike {
                break;
            }
            entering[next] = 0;
            values.push(other.value);
            no = other.no;
        }
        if values.len() >= MANY {
            sort_by_key(&mut values, |value| value.swap_bytes());
        }
        ends.push(kept.len() + values.len() - 1);
        for value in values {
            kept.push(Step { value, no, ..*step });
        }
    }
    let mut ends = ends.into_iter().peekable();
    for (number, step) in kept.iter_mut().enumerate() {
        let renumber = |target: &mut Target| {
            if let Target::Step(next) = target {
                *next = numbers[*next];
            }
        };
        renumber(&mut step.yes);
        if ends.next_if_eq(&number).is_some() {
            renumber(&mut step.no);
        } else {
            step.no = Target::Step(number + 1);
        }
    }
    kept
}

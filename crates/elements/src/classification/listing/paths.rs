//! Steps that are passed over, because the answers on every way to them decide them.
//!
//! Of each step a few *paths* are known: lists of branches, such that every way to the step goes
//! through all branches of one list. A branch is shifted past each step that every path decides.
//! Where a step has more than [`MOST_PATHS`] paths, what they have in common stands for them.

use alloc::vec::Vec;

use sprat_click::collections::sort_by_key;

use super::step::{Step, Target};

/// How many paths are known of a step.
const MOST_PATHS: usize = 4;

/// A step and its answer: twice the step's number, and one for "yes".
type Branch = usize;

/// Leads branches past the steps whose answers are known on all ways to them.
pub(super) fn shorten(steps: &mut [Step]) {
    let mut paths = Paths::new(steps);
    for step in 0..paths.steps.len() {
        paths.find(step);
        paths.shift(step, true);
        paths.shift(step, false);
    }
}

struct Paths<'a> {
    steps: &'a mut [Step],
    /// How many bytes of the packet are sure to be there when a step is reached.
    lengths: Vec<u32>,
    /// For each step the first that compares the same.
    same: Vec<usize>,
    /// For each step the branches that lead to it, the latest found first.
    entering: Vec<Vec<Branch>>,
    /// For each step its paths; none where no packet comes.
    paths: Vec<Vec<Vec<Branch>>>,
}

impl<'a> Paths<'a> {
    fn new(steps: &'a mut [Step]) -> Self {
        let mut lengths = alloc::vec![u32::MAX; steps.len()];
        let mut entering = alloc::vec![Vec::new(); steps.len()];
        if let Some(first) = lengths.first_mut() {
            *first = 0;
        }
        for (number, step) in steps.iter().enumerate() {
            let before = lengths[number];
            let tested = step.required_length().max(before);
            for answer in [false, true] {
                if let Target::Step(next) = step.target(answer) {
                    let length = if answer == step.short { before } else { tested };
                    lengths[next] = lengths[next].min(length);
                    entering[next].insert(0, 2 * number + usize::from(answer));
                }
            }
        }
        let mut order: Vec<usize> = (0..steps.len()).collect();
        sort_by_key(&mut order, |&number| (steps[number].comparison(), number));
        let mut same: Vec<usize> = (0..steps.len()).collect();
        for pair in order.windows(2) {
            if steps[pair[0]].comparison() == steps[pair[1]].comparison() {
                same[pair[1]] = same[pair[0]];
            }
        }
        Self {
            paths: Vec::with_capacity(steps.len()),
            steps,
            lengths,
            same,
            entering,
        }
    }

    /// The branch of the first step that compares the same.
    fn first_alike(&self, branch: Branch) -> Branch {
        2 * self.same[branch / 2] + branch % 2
    }

    fn lead(&mut self, branch: Branch, to: Target) {
        let target = self.steps[branch / 2].target_mut(branch % 2 == 1);
        if let Target::Step(next) = core::mem::replace(target, to) {
            self.entering[next].retain(|&other| other != branch);
        }
        if let Target::Step(next) = to {
            let entering = &mut self.entering[next];
            let place = entering.iter().position(|&other| other >= branch);
            entering.insert(place.unwrap_or(entering.len()), branch);
        }
    }

    /// The paths to the step that lead on: of which step, which, and how many branches of them.
    fn before(&mut self, entering: &[Branch]) -> Vec<(usize, usize, usize)> {
        let mut before: Vec<(usize, usize, usize)> = Vec::new();
        for (number, &branch) in entering.iter().enumerate() {
            let from = branch / 2;
            if number > 0 && entering[number - 1] / 2 == from {
                // Both answers lead here: neither says anything.
                if let Some((_, _, length)) = before.last_mut() {
                    *length = length.saturating_sub(1);
                }
                continue;
            }
            let last = self.first_alike(branch);
            for (place, path) in self.paths[from].iter_mut().enumerate() {
                let length = path.len();
                let Some((end, earlier)) = path.split_last_mut() else {
                    continue;
                };
                // No packet answers one question both ways.
                if earlier.iter().all(|&other| other ^ last != 1) {
                    *end = last;
                    before.push((from, place, length));
                }
            }
        }
        before
    }

    /// Finds the paths to a step, or leads around it where they all decide it.
    fn find(&mut self, number: usize) {
        let entering = self.entering[number].clone();
        let before = self.before(&entering);
        let path = |&(from, place, length): &(usize, usize, usize)| {
            self.paths[from][place].get(..length).unwrap_or_default()
        };
        let mut mine = 2 * self.same[number];
        let mut found = Vec::new();
        if before.len() > MOST_PATHS {
            let mut common = intersection(&before.iter().map(path).collect::<Vec<_>>());
            common.push(mine);
            found.push(common);
        } else {
            // How many paths give the same answer; none once one does not.
            let mut agreed = Some(0);
            for path in before.iter().map(path) {
                let mut known = None;
                let mut branches = Vec::with_capacity(path.len() + 1);
                for (place, &branch) in path.iter().enumerate() {
                    let last = path[path.len() - 1];
                    // One that comes again later.
                    if place + 1 < path.len() && branch ^ last <= 1 {
                        continue;
                    }
                    if branch ^ mine <= 1 {
                        known = Some(branch);
                    }
                    branches.push(branch);
                }
                agreed = match (agreed, known) {
                    (Some(count), Some(branch)) if count == 0 || branch == mine => {
                        mine = branch;
                        Some(count + 1)
                    }
                    _ => None,
                };
                branches.push(mine);
                found.push(branches);
            }
            if agreed.is_some_and(|count| count > 0) {
                let next = self.steps[number].target(mine % 2 == 1);
                for branch in entering {
                    self.lead(branch, next);
                }
                found.clear();
            }
        }
        if found.is_empty() {
            if number == 0 {
                found.push(alloc::vec![0]);
            } else {
                self.lead(2 * number, Target::Drop);
                self.lead(2 * number + 1, Target::Drop);
            }
        }
        self.paths.push(found);
    }

    /// Shifts a branch as far as all paths to it go the same way.
    fn shift(&mut self, number: usize, answer: bool) {
        let branch = 2 * number + usize::from(answer);
        let next = self.steps[number].target(answer);
        if self.paths[number].is_empty() || !matches!(next, Target::Step(_)) {
            return;
        }
        let last = self.first_alike(branch);
        let mut ways = Vec::new();
        for place in 0..self.paths[number].len() {
            if let Some(end) = self.paths[number][place].last_mut() {
                *end = last;
            }
            ways.push(self.way(&self.paths[number][place], next));
        }
        let to = last_common(&ways);
        if to != next {
            self.lead(branch, to);
        }
    }

    /// Where a path's branches lead from a target on.
    fn way(&self, path: &[Branch], mut target: Target) -> Vec<Target> {
        let mut way = alloc::vec![target];
        while let Target::Step(number) = target {
            let next = &self.steps[number];
            let answer = path.iter().rev().find_map(|&branch| {
                let from = branch / 2;
                self.steps[from].implies(branch % 2 == 1, next, self.lengths[from])
            });
            let Some(answer) = answer else {
                break;
            };
            target = next.target(answer);
            way.push(target);
        }
        way
    }
}

/// The last target that all ways reach.
fn last_common(ways: &[Vec<Target>]) -> Target {
    let Some((first, others)) = ways.split_first() else {
        return Target::Drop;
    };
    let end = first[first.len() - 1];
    if others.iter().all(|way| way.last() == Some(&end)) {
        return end;
    }
    let common = first.iter().rev().find(|target| {
        matches!(target, Target::Step(_)) && others.iter().all(|way| way.contains(target))
    });
    *common.unwrap_or(&first[0])
}

/// The branches that paths have in common, as far as they come in order.
fn intersection(paths: &[&[Branch]]) -> Vec<Branch> {
    let mut common = Vec::new();
    let mut places = alloc::vec![0; paths.len()];
    let mut candidate = 0;
    loop {
        // Goes round until every path has been seen to have the candidate.
        let (mut path, mut seen) = (0, 0);
        while seen < paths.len() {
            let rest = paths[path].get(places[path]..).unwrap_or_default();
            let Some(skipped) = rest.iter().position(|&branch| branch >= candidate) else {
                return common;
            };
            places[path] += skipped;
            if rest[skipped] > candidate {
                candidate = rest[skipped];
                seen = 0;
            }
            path = (path + 1) % paths.len();
            seen += 1;
        }
        common.push(candidate);
        candidate += 1;
    }
}

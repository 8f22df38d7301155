//! Choosing classes while compiling, so that an image holds only those that its configuration uses.

use sprat_click::Class;

use crate::CLASSES;

/// How many classes `names` lists: words separated by single spaces.
pub const fn count(names: &str) -> usize {
    if names.is_empty() {
        return 0;
    }
    let (mut count, mut at) = (1, 0);
    while at < names.len() {
        if names.as_bytes()[at] == b' ' {
            count += 1;
        }
        at += 1;
    }
    count
}

/// Those of [`CLASSES`] that `names` lists, `N` being their [`count`]. In a constant it names no other
/// class, so no other is linked.
///
/// # Panics
/// If there is no such class: while compiling.
pub const fn select<const N: usize>(names: &str) -> [&'static Class; N] {
    assert!(N > 0, "an image without any class");
    let mut selected = [CLASSES[0][0]; N];
    let (mut rest, mut index) = (names.as_bytes(), 0);
    while index < N {
        let mut length = 0;
        while length < rest.len() && rest[length] != b' ' {
            length += 1;
        }
        let (name, after) = rest.split_at(length);
        match find(name) {
            Some(class) => selected[index] = class,
            None => panic!("no such class"),
        }
        if let [_, after @ ..] = after {
            rest = after;
        }
        index += 1;
    }
    selected
}

const fn find(name: &[u8]) -> Option<&'static Class> {
    let mut family = 0;
    while family < CLASSES.len() {
        let classes = CLASSES[family];
        let mut index = 0;
        while index < classes.len() {
            if is_same(classes[index].name.as_bytes(), name) {
                return Some(classes[index]);
            }
            index += 1;
        }
        family += 1;
    }
    None
}

const fn is_same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_that_are_named_are_chosen_in_order() {
        const NAMES: &str = "Queue Idle IPFilter";
        const CHOSEN: [&Class; count(NAMES)] = select(NAMES);
        assert_eq!(
            CHOSEN.map(|class| class.name),
            ["Queue", "Idle", "IPFilter"]
        );
    }

    #[test]
    #[should_panic(expected = "no such class")]
    fn a_name_that_no_class_has_is_refused() {
        let _ = select::<2>("Idle Idol");
    }

    #[test]
    fn names_are_counted_by_the_spaces_between_them() {
        assert_eq!(["", "Idle", "Idle Queue"].map(count), [0, 1, 2]);
    }
}

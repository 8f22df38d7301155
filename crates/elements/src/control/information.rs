use alloc::format;
use alloc::string::String;

use sprat_click::arguments::{Annotation, Argument, split_words, unquote};
use sprat_click::{Arguments, Class, Configuration, Configure, Element, Phase, Rejected};

const fn information<T: Configure>(name: &'static str) -> Class {
    Class::of::<T>(name).ports("0/0").phase(Phase::Information)
}

pub(super) const ANNOTATION_INFO: Class = information::<AnnotationInfo>("AnnotationInfo");
pub(super) const STATIC_THREAD_SCHED: Class = information::<StaticThreadSched>("StaticThreadSched");
pub(super) const BALANCED_THREAD_SCHED: Class = information::<Remark>("BalancedThreadSched");
pub(super) const CLICKY_INFO: Class = information::<Remark>("ClickyInfo");
pub(super) const DPDK_INFO: Class = information::<Remark>("DPDKInfo");
pub(super) const DEVIRTUALIZE_INFO: Class = information::<Remark>("DevirtualizeInfo");
pub(super) const FLOW_INFO: Class = information::<Remark>("FlowInfo");
pub(super) const IP_FIELD_INFO: Class = information::<Remark>("IPFieldInfo");
pub(super) const IP_NAME_INFO: Class = information::<Remark>("IPNameInfo");

/// AnnotationInfo: gives parts of the annotation area names.
///
/// ```click
/// AnnotationInfo(NAME OFFSET [SIZE], ... [, keyword CHECK_OVERLAP])
/// ```
///
/// Each NAME stands for the annotation of SIZE bytes at OFFSET, wherever an argument is an annotation.
/// Click's own names, such as `PAINT`, keep their meaning. CHECK_OVERLAP is a list of annotations; where
/// two of them have a byte in common, that is an error.
///
/// See Click's manual page AnnotationInfo(n).
struct AnnotationInfo;

/// `NAME OFFSET [SIZE]`; nothing of an empty entry, or of one that is a comment.
fn definition(
    entry: &str,
    arguments: &Arguments<'_>,
) -> Result<Option<(String, Annotation)>, String> {
    let words = split_words(entry);
    let Some((name, rest)) = words.split_first() else {
        return Ok(None);
    };
    if name.starts_with('#') {
        return Ok(None);
    }
    let name = unquote(name);
    if Annotation::named(&name).is_some() {
        return Err(format!("bad NAME '{name}'"));
    }
    let place = match rest {
        [offset] => offset.clone(),
        [offset, size] => format!("{offset}/{size}"),
        _ => return Err(format!("bad entry for '{name}'")),
    };
    let annotation = Annotation::parse(&place, arguments.names());
    match annotation {
        Ok(annotation) => Ok(Some((name, annotation))),
        Err(_) => Err(format!("bad entry for '{name}'")),
    }
}

/// The first two of `names` that have a byte in common.
fn overlap(names: &[String], arguments: &Arguments<'_>) -> Result<(), String> {
    let mut seen = alloc::vec::Vec::<(&String, Annotation)>::new();
    for name in names {
        let annotation = Annotation::parse(&unquote(name), arguments.names())
            .map_err(|_| format!("bad ANNO '{name}'"))?;
        let end = |it: Annotation| it.offset + it.size.unwrap_or(1);
        let other = seen
            .iter()
            .find(|(_, other)| annotation.offset < end(*other) && other.offset < end(annotation));
        if let Some((other, _)) = other {
            return Err(format!("annotations '{other}' and '{name}' conflict"));
        }
        seen.push((name, annotation));
    }
    Ok(())
}

impl Configure for AnnotationInfo {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let checks = arguments.keyword_with("CHECK_OVERLAP", |text, _| Ok(split_words(text)));
        for entry in arguments.rest() {
            match definition(&entry, arguments) {
                Ok(None) => {}
                Ok(Some((name, annotation))) => {
                    let mut table = configuration.addresses().borrow_mut();
                    table.define(configuration.scope(), &name).annotation = Some(annotation);
                }
                Err(message) => {
                    arguments.error(message);
                }
            }
        }
        if let Err(message) = overlap(&checks.unwrap_or_default(), arguments) {
            arguments.error(message);
        }
        arguments.check()?;
        Ok(Self)
    }
}

impl Element for AnnotationInfo {}

/// StaticThreadSched: says which thread runs which element.
///
/// ```click
/// StaticThreadSched(ELEMENT THREAD, ...)
/// ```
///
/// A router here runs on one thread: the elements, or the compounds that have elements, must be there,
/// and it decides nothing. A THREAD other than 0, or -1 for none, is warned of.
///
/// See Click's manual page StaticThreadSched(n).
struct StaticThreadSched;

impl Configure for StaticThreadSched {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        for entry in arguments.rest() {
            let names = arguments.names();
            let mut words = Arguments::from_words(&entry, names);
            let name = words.required::<String>("ELEMENT");
            let thread = words.required::<i32>("THREAD");
            let finished = words.finish();
            for message in words.messages() {
                arguments.error(message.message.clone());
            }
            let (Ok(name), Ok(thread), Ok(())) = (name, thread, finished) else {
                return Err(Rejected);
            };
            if !(-1..1).contains(&thread) {
                arguments.warning(format!("thread preference {thread} out of range"));
            }
            if configuration.find(&name).is_none() && !configuration.has_inside(&name) {
                // Click looks for elements inside it last, and says what it looked for.
                let scope = configuration.scope();
                arguments.error(format!("'{scope}{name}/' does not name an element"));
            }
        }
        // An element that is not there is told, and no reason not to run.
        Ok(Self)
    }
}

impl Element for StaticThreadSched {}

/// BalancedThreadSched, ClickyInfo, DPDKInfo, DevirtualizeInfo, FlowInfo, IPFieldInfo, IPNameInfo: say what is of no meaning here.
///
/// ```click
/// ClickyInfo(...)
/// ```
///
/// Accepted with any arguments, for the sake of configurations that were written for Click's other tools,
/// for several threads or for DPDK. The names of fields and protocols that IPFieldInfo and IPNameInfo bring are there
/// without them.
///
/// See Click's manual pages of these names.
struct Remark;

impl Configure for Remark {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.rest();
        Ok(Self)
    }
}

impl Element for Remark {}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn named_annotations_are_used_like_clicks_own() {
        let bench = Bench::new(
            "AnnotationInfo(COLOR 30 1); RatedSource(x, 1000, 1) -> Paint(4, ANNO COLOR)
             -> p :: PaintSwitch(COLOR); p[0] -> Discard; p[1] -> Discard; p[2] -> Discard;
             p[3] -> Discard; p[4] -> c :: Counter -> Discard",
        );
        bench.run();
        assert_eq!(bench.read("c.count"), "1");
    }

    #[test]
    fn wrong_definitions_and_overlaps_are_errors() {
        for (config, message) in [
            ("PAINT 3 1", "bad NAME 'PAINT'"),
            ("X 47 4", "bad entry for 'X'"),
            ("X", "bad entry for 'X'"),
            ("X 17 1 1", "bad entry for 'X'"),
            ("X 17 1, CHECK_OVERLAP X Y", "bad ANNO 'Y'"),
            (
                "X 16 2, CHECK_OVERLAP DST_IP X PAINT",
                "annotations 'X' and 'PAINT' conflict",
            ),
        ] {
            let errors = Bench::errors(&std::format!("AnnotationInfo({config})"));
            assert!(errors.contains(message), "{config}: {errors}");
        }
        Bench::new("AnnotationInfo(X 17 1, CHECK_OVERLAP DST_IP X PAINT)");
    }

    #[test]
    fn threads_are_checked_and_left_alone() {
        let bench = Bench::new("StaticThreadSched(s 1); s :: RatedSource -> d :: Discard");
        bench.run();
        assert_eq!(bench.read("d.count"), "2");
        Bench::new("StaticThreadSched(c 0, c/s 0); c :: { RatedSource -> s :: Discard }");
        for (config, text) in [
            ("s", "  THREAD: required argument missing\n"),
            ("s x", "  THREAD: invalid number\n"),
        ] {
            let errors = Bench::errors(&std::format!("StaticThreadSched({config}); s :: Idle"));
            assert!(errors.contains(text), "{errors}");
        }
    }
}

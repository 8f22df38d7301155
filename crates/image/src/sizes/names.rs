//! Which crate and module a symbol comes from.

/// What belongs to no crate: assembly and what the compiler makes up.
pub(crate) const NO_CRATE: &str = "(no crate)";

/// Where a symbol comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    /// The crate's name.
    pub(crate) krate: String,
    /// The module's path, which begins with the crate.
    pub(crate) module: String,
    /// The demangled name.
    pub(crate) function: String,
}

/// Where a symbol comes from.
pub(crate) fn origin(symbol: &str) -> Origin {
    let Ok(demangled) = rustc_demangle::try_demangle(symbol) else {
        return Origin {
            krate: NO_CRATE.to_owned(),
            module: NO_CRATE.to_owned(),
            function: symbol.to_owned(),
        };
    };
    let function = format!("{demangled:#}");
    // `<Type as Trait>::method` belongs to the type's crate, or, where that is a primitive, to the
    // trait's.
    let own = module_of(&function);
    let of_trait = || function.split(" as ").nth(1).and_then(module_of);
    // The methods of primitive types name no crate when demangled.
    let of_implementation = || first_crate(symbol);
    let module = own.or_else(of_trait).or_else(of_implementation);
    let module = module.unwrap_or(NO_CRATE).to_owned();
    let krate = module.split("::").next().unwrap_or(NO_CRATE).to_owned();
    Origin {
        krate,
        module,
        function,
    }
}

/// A function's name without crates and modules: of `<a::b::C as d::E<f::G>>::h` it is `C::h`, of
/// `a::b::<c::D>` it is `b::<D>`.
pub(super) fn last_part(function: &str) -> String {
    match function.strip_prefix('<').and_then(split_bracket) {
        Some((inner, rest)) => {
            let end = top_level(inner, |rest| rest.starts_with(" as "));
            let own = &inner[..end.unwrap_or(inner.len())];
            without_modules(own) + &without_modules(rest)
        }
        None => without_modules(function),
    }
}

/// A path, and those within it, without the names of crates and modules.
fn without_modules(path: &str) -> String {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let mut short = String::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
        if length == 0 {
            short.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (name, after) = rest.split_at(length);
        let inner = after.strip_prefix("::");
        // What is inside a function or a type is named with it.
        let is_module = !first.is_uppercase()
            && !short.ends_with("::")
            && inner.is_some_and(|inner| inner.starts_with(is_letter));
        if !is_module {
            short.push_str(name);
        }
        rest = match (is_module, inner) {
            (true, Some(inner)) => inner,
            _ => after,
        };
    }
    short
}

/// What is before the `>` that closes a bracket whose `<` has been taken away, and what is behind it.
fn split_bracket(text: &str) -> Option<(&str, &str)> {
    let end = top_level(text, |rest| rest.starts_with('>'))?;
    Some((&text[..end], &text[end + 1..]))
}

/// The first place outside of all brackets that begins with what is looked for.
fn top_level(text: &str, is_it: impl Fn(&str) -> bool) -> Option<usize> {
    let mut depth = 0_u32;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if depth == 0 && before != '-' && is_it(&text[at..]) {
            return Some(at);
        }
        match c {
            '<' | '(' | '[' => depth += 1,
            // An arrow closes nothing.
            '>' if before == '-' => {}
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = c;
    }
    None
}

/// The module that a path begins with, past references, brackets and the like: every name up to
/// the last one, or up to a type, whose name begins with a capital.
fn module_of(path: &str) -> Option<&str> {
    let path = bare(path);
    let mut end = 0;
    let mut rest = path;
    loop {
        let length = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(length);
        let is_module = !name.is_empty()
            && after.starts_with("::")
            && !name.starts_with(|c: char| c.is_ascii_uppercase());
        if !is_module {
            break;
        }
        end = path.len() - after.len();
        rest = &after[2..];
        // `f::{closure#0}` and `f::<T>` are the function f's.
        if end > 0 && rest.starts_with(['{', '<']) && path[..end].contains("::") {
            end = path[..end].rfind("::").unwrap_or(end);
            break;
        }
    }
    (end > 0).then(|| &path[..end])
}

/// The first crate that a v0 symbol names: `Cs`, a fingerprint and `_`, the length of the name, the name.
/// It is the one whose implementation a method is in (Rust RFC 2603, `impl-path`).
fn first_crate(symbol: &str) -> Option<&str> {
    let (_, rest) = symbol.strip_prefix("_R")?.split_once("Cs")?;
    let (_, rest) = rest.split_once('_')?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let (length, name) = rest.split_at(digits);
    name.get(..length.parse().ok()?)
}

/// A path without what stands before its first name.
fn bare(path: &str) -> &str {
    let mut rest = path;
    loop {
        let shorter = rest.trim_start_matches(['<', '&', '*', '[', '(', ' ']);
        let shorter = ["mut ", "const ", "dyn "]
            .iter()
            .find_map(|word| shorter.strip_prefix(word))
            .unwrap_or(shorter);
        if shorter.len() == rest.len() {
            return rest;
        }
        rest = shorter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_belong_to_the_module_of_their_type_or_trait() {
        let cases = [
            (
                "_ZN4core3fmt5write17h0123456789abcdefE",
                "core",
                "core::fmt",
            ),
            (
                "_ZN56_$LT$sprat_click..Router$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
                "sprat_click",
                "sprat_click",
            ),
            (
                "_ZN42_$LT$$RF$T$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
                "core",
                "core::fmt",
            ),
            ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate", "mycrate::foo"),
            ("_RNvXCs1234_7mycratehNtB2_3Foo3bar", "mycrate", "mycrate"),
            // mycrate::foo::bar::{closure#0}
            (
                "_RNCNvNtCs1234_7mycrate3foo3bar0B5_",
                "mycrate",
                "mycrate::foo",
            ),
            // mycrate::bar::{closure#0}
            ("_RNCNvCs1234_7mycrate3bar0B3_", "mycrate", "mycrate"),
            // <str>::trim_matches, of `impl str` in core
            (
                "_RNvMNtCsgEmfK2I1SDS_4core3stre12trim_matches",
                "core",
                "core",
            ),
            ("memcpy", NO_CRATE, NO_CRATE),
        ];
        for (symbol, krate, module) in cases {
            let found = origin(symbol);
            assert_eq!(
                (found.krate.as_str(), found.module.as_str()),
                (krate, module),
                "{symbol} is {}",
                found.function
            );
        }
    }

    #[test]
    fn a_function_s_last_part_has_no_modules() {
        for (function, expected) in [
            (
                "<sprat_click::language::Builder>::statement",
                "Builder::statement",
            ),
            ("<a::b::C as d::E<f::G>>::h", "C::h"),
            ("<a::C<b::D> as e::F>::g", "C<D>::g"),
            ("<fn(a::B) -> a::C as d::E>::f", "fn(B) -> C::f"),
            ("<&mut a::B>::c", "&mut B::c"),
            (
                "core::ptr::drop_in_place::<alloc::string::String>",
                "drop_in_place::<String>",
            ),
            ("a::run::{closure#0}", "run::{closure#0}"),
            ("a::Type::method::inner", "Type::method::inner"),
            ("<str>::trim_matches", "str::trim_matches"),
            ("memcpy", "memcpy"),
            ("<unclosed", "<unclosed"),
            ("", ""),
        ] {
            assert_eq!(last_part(function), expected, "{function}");
        }
    }

    #[test]
    fn a_symbol_keeps_the_name_that_people_read() {
        assert_eq!(
            origin("_RNvNtCs1234_7mycrate3foo3bar").function,
            "mycrate::foo::bar"
        );
        assert_eq!(origin("memcpy").function, "memcpy");
    }
}

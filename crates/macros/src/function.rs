//! The function that the attribute stands on.

use proc_macro::{Ident, Span, TokenStream, TokenTree};

use crate::{Mistake, ident, split_at_commas};

/// What the function is called afterwards: `main` is the platform's own.
pub(crate) const RENAMED: &str = "sprat_service";

pub(crate) struct Function {
    /// The function under its new name.
    pub(crate) item: TokenStream,
    /// `env` where it takes an environment, `env options` where it also takes parameters.
    pub(crate) arguments: TokenStream,
    /// The type of its parameters.
    pub(crate) parameters: TokenStream,
    /// Where it is called `main`.
    pub(crate) place: Span,
}

pub(crate) fn read(item: TokenStream) -> Result<Function, Mistake> {
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    let is = |token: &TokenTree, word: &str| matches!(token, TokenTree::Ident(ident) if ident.to_string() == word);
    let Some(at) = tokens.iter().position(|token| is(token, "fn")) else {
        let place = tokens.first().map_or_else(Span::call_site, TokenTree::span);
        return Err(Mistake::new(place, "expected a function"));
    };
    if !tokens[..at].iter().any(|token| is(token, "async")) {
        return Err(Mistake::new(
            tokens[at].span(),
            "the function must be `async`: `async fn main(env: Env) -> Result<()>`",
        ));
    }
    let place = match tokens.get(at + 1) {
        Some(TokenTree::Ident(name)) => name.span(),
        _ => tokens[at].span(),
    };
    let Some(TokenTree::Group(list)) = tokens.get(at + 2) else {
        return Err(Mistake::new(place, "the function cannot be generic"));
    };
    let list = split_at_commas(list.stream());
    let (arguments, parameters) = match &list[..] {
        [] => (TokenStream::new(), unit()),
        [_] => (ident("env", place), unit()),
        [_, options] => {
            let mut both = ident("env", place);
            both.extend(ident("options", place));
            (both, type_of(options)?)
        }
        [_, _, third, ..] => {
            return Err(Mistake::new(
                third[0].span(),
                "expected at most an `Env` and a structure of parameters",
            ));
        }
    };
    tokens[at + 1] = TokenTree::Ident(Ident::new(RENAMED, place));
    Ok(Function {
        item: tokens.into_iter().collect(),
        arguments,
        parameters,
        place,
    })
}

fn unit() -> TokenStream {
    crate::group(proc_macro::Delimiter::Parenthesis, TokenStream::new())
}

/// What stands behind the first colon that is no part of a path.
fn type_of(argument: &[TokenTree]) -> Result<TokenStream, Mistake> {
    let colon = argument.iter().position(
        |token| matches!(token, TokenTree::Punct(punctuation) if punctuation.as_char() == ':'),
    );
    match colon {
        Some(at) => Ok(argument[at + 1..].iter().cloned().collect()),
        None => Err(Mistake::new(
            argument[0].span(),
            "expected `options: TYPE`, TYPE being made by `sprat::parameters!`",
        )),
    }
}

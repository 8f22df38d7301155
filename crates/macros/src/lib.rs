//! `#[sprat::main]`: a function becomes the beginning of a program, and what it asks for becomes
//! the image's manifest.
//!
//! The attribute only takes the function's head apart; everything else is in the macro
//! `sprat::service!`, where the compiler shows it. There is no parser of Rust in here, so that a
//! package that uses the library builds in seconds.
//!
//! `include_folder!` puts the files of a folder into a program.
#![forbid(unsafe_code)]

mod attribute;
mod folder;
mod function;

use proc_macro::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};

/// What is wrong, and where.
struct Mistake {
    place: Span,
    words: String,
}

impl Mistake {
    fn new(place: Span, words: &str) -> Self {
        Self {
            place,
            words: words.to_owned(),
        }
    }

    /// The compiler's own way to say it.
    fn to_tokens(&self) -> TokenStream {
        let mut words = TokenTree::Literal(proc_macro::Literal::string(&self.words));
        words.set_span(self.place);
        let mut tokens = ident("compile_error", self.place);
        tokens.extend(punctuation('!', self.place));
        tokens.extend(group(Delimiter::Brace, words.into()));
        tokens
    }
}

/// Makes an asynchronous function the beginning of the program.
///
/// ```ignore
/// #[sprat::main]
/// async fn main(env: Env) -> Result<()> { .. }
///
/// #[sprat::main(needs(eth0: Network, data: Block), heap = 32 << 20)]
/// async fn main(env: Env, options: Options) -> Result<()> { .. }
/// ```
///
/// It takes an `Env`, and after it a structure of parameters where there is one. In brackets, each
/// of them optional:
///
/// - `needs(NAME: KIND, ..)`: the devices it cannot do without. Without it: `eth0: Network`.
/// - `takes(NAME: KIND, ..)`: the devices it makes use of where it is given them; the name `"*"` stands
///   for any number of any name, such as the files that a user names in parameters.
/// - `heap = BYTES`, `stack = BYTES`: how much memory it wants.
/// - `buffers = COUNT`: how many frames its network devices may hold.
#[proc_macro_attribute]
pub fn main(attribute: TokenStream, item: TokenStream) -> TokenStream {
    expand(attribute, item).unwrap_or_else(|mistake| mistake.to_tokens())
}

/// All files of a folder of the package, as a `Folder` in the program: `include_folder!("site")`.
///
/// Changed files are noticed by themselves; after adding or removing one, touch the source file that
/// this stands in.
#[proc_macro]
pub fn include_folder(tokens: TokenStream) -> TokenStream {
    folder::expand(tokens).unwrap_or_else(|mistake| mistake.to_tokens())
}

fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream, Mistake> {
    let attribute = attribute::read(attribute)?;
    let function = function::read(item)?;
    let place = function.place;
    let mut service = TokenStream::new();
    service.extend(field("function", ident(function::RENAMED, place), place));
    service.extend(field(
        "arguments",
        group(Delimiter::Bracket, function.arguments),
        place,
    ));
    service.extend(field("parameters", function.parameters, place));
    service.extend(field(
        "needs",
        group(Delimiter::Bracket, attribute.needs),
        place,
    ));
    service.extend(field(
        "takes",
        group(Delimiter::Bracket, attribute.takes),
        place,
    ));
    service.extend(field(
        "sizes",
        group(Delimiter::Bracket, attribute.sizes),
        place,
    ));
    let mut tokens = function.item;
    for part in ["", "sprat", "", "service"] {
        tokens.extend(match part {
            "" => double_colon(place),
            name => ident(name, place),
        });
    }
    tokens.extend(punctuation('!', place));
    tokens.extend(group(Delimiter::Brace, service));
    Ok(tokens)
}

/// `NAME: TOKENS,`
fn field(name: &str, tokens: TokenStream, place: Span) -> TokenStream {
    let mut field = ident(name, place);
    field.extend(punctuation(':', place));
    field.extend(tokens);
    field.extend(punctuation(',', place));
    field
}

fn ident(name: &str, place: Span) -> TokenStream {
    TokenTree::Ident(Ident::new(name, place)).into()
}

fn punctuation(character: char, place: Span) -> TokenStream {
    let mut punctuation = Punct::new(character, Spacing::Alone);
    punctuation.set_span(place);
    TokenTree::Punct(punctuation).into()
}

fn double_colon(place: Span) -> TokenStream {
    let mut first = Punct::new(':', Spacing::Joint);
    first.set_span(place);
    let mut tokens = TokenStream::from(TokenTree::Punct(first));
    tokens.extend(punctuation(':', place));
    tokens
}

fn group(delimiter: Delimiter, tokens: TokenStream) -> TokenStream {
    TokenTree::Group(Group::new(delimiter, tokens)).into()
}

/// Parts between commas that stand in no bracket. Angle brackets count as such, for types.
fn split_at_commas(tokens: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut parts = vec![Vec::new()];
    let mut depth = 0usize;
    for token in tokens {
        if let TokenTree::Punct(punctuation) = &token {
            match punctuation.as_char() {
                '<' => depth += 1,
                '>' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    parts.push(Vec::new());
                    continue;
                }
                _ => {}
            }
        }
        if let Some(part) = parts.last_mut() {
            part.push(token);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

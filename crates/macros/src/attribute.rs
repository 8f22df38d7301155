//! What stands in the brackets of the attribute.

use proc_macro::{Literal, TokenStream, TokenTree};

use crate::{Mistake, punctuation, split_at_commas};

/// What the attribute asks for, as `sprat::service!` reads it.
pub(crate) struct Attribute {
    /// `"NAME": KIND,` for each device.
    pub(crate) needs: TokenStream,
    /// The same for those it takes where they are given.
    pub(crate) takes: TokenStream,
    /// `WHAT = EXPRESSION,` for each size.
    pub(crate) sizes: TokenStream,
}

const EXPECTED: &str = "expected `needs(NAME: KIND, ..)`, `takes(NAME: KIND, ..)`, `heap = BYTES`, \
                        `stack = BYTES` or `buffers = COUNT`";

/// The kinds of devices that there are.
const KINDS: [&str; 4] = ["Network", "Block", "InputFile", "OutputFile"];

pub(crate) fn read(tokens: TokenStream) -> Result<Attribute, Mistake> {
    let mut needs = None;
    let mut takes = TokenStream::new();
    let mut sizes = TokenStream::new();
    for part in split_at_commas(tokens) {
        match &part[..] {
            [TokenTree::Ident(word), TokenTree::Group(list)] if word.to_string() == "needs" => {
                needs
                    .get_or_insert_with(TokenStream::new)
                    .extend(read_devices(list.stream())?);
            }
            [TokenTree::Ident(word), TokenTree::Group(list)] if word.to_string() == "takes" => {
                takes.extend(read_devices(list.stream())?);
            }
            [TokenTree::Ident(word), TokenTree::Punct(equals), _, ..]
                if equals.as_char() == '='
                    && matches!(word.to_string().as_str(), "heap" | "stack" | "buffers") =>
            {
                sizes.extend(part.iter().cloned());
                sizes.extend(punctuation(',', word.span()));
            }
            _ => return Err(Mistake::new(part[0].span(), EXPECTED)),
        }
    }
    Ok(Attribute {
        needs: needs.map_or_else(one_network, Ok)?,
        takes,
        sizes,
    })
}

/// What a service needs that says nothing.
fn one_network() -> Result<TokenStream, Mistake> {
    "\"eth0\": Network,"
        .parse()
        .map_err(|_| Mistake::new(proc_macro::Span::call_site(), EXPECTED))
}

fn read_devices(tokens: TokenStream) -> Result<TokenStream, Mistake> {
    let mut devices = TokenStream::new();
    for part in split_at_commas(tokens) {
        let [name, TokenTree::Punct(colon), TokenTree::Ident(kind)] = &part[..] else {
            return Err(Mistake::new(
                part[0].span(),
                "expected NAME: KIND, such as `eth0: Network`",
            ));
        };
        if !KINDS.contains(&kind.to_string().as_str()) {
            return Err(Mistake {
                place: kind.span(),
                words: format!(
                    "there are no devices of kind `{kind}`: expected {}",
                    KINDS.join(", ")
                ),
            });
        }
        let mut name = match name {
            TokenTree::Ident(name) => TokenTree::Literal(Literal::string(&name.to_string())),
            TokenTree::Literal(text) if text.to_string().starts_with('"') => {
                TokenTree::Literal(text.clone())
            }
            other => {
                return Err(Mistake::new(
                    other.span(),
                    "expected a device's name, such as `eth0` or `\"zones/example.zone\"`",
                ));
            }
        };
        name.set_span(part[0].span());
        devices.extend([
            name,
            TokenTree::Punct(colon.clone()),
            TokenTree::Ident(kind.clone()),
        ]);
        devices.extend(punctuation(',', kind.span()));
    }
    Ok(devices)
}

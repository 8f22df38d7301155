//! A folder of files in a program.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro::{Span, TokenStream, TokenTree};

use crate::Mistake;

const EXPECTED: &str = "expected a folder's path in quotes, relative to the package";

pub(crate) fn expand(tokens: TokenStream) -> Result<TokenStream, Mistake> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let [TokenTree::Literal(literal)] = &tokens[..] else {
        let place = tokens.first().map_or_else(Span::call_site, TokenTree::span);
        return Err(Mistake::new(place, EXPECTED));
    };
    let place = literal.span();
    let text = literal.to_string();
    let path = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let path = path.ok_or_else(|| Mistake::new(place, EXPECTED))?;
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let folder = Path::new(&package).join(path);
    let mut files = Vec::new();
    collect(&folder, &mut files).map_err(|error| Mistake {
        place,
        words: format!("cannot read {}: {error}", folder.display()),
    })?;
    list(&folder, &files).ok_or_else(|| Mistake::new(place, "a file's name is not UTF-8"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The folder as an expression. The compiler notices by itself when a file changes.
fn list(folder: &Path, files: &[PathBuf]) -> Option<TokenStream> {
    let mut named = Vec::new();
    for file in files {
        named.push((file.strip_prefix(folder).ok()?.to_str()?, file.to_str()?));
    }
    named.sort_unstable();
    let files = named.iter().map(|(name, file)| {
        format!("({name:?}, ::core::include_bytes!({file:?}) as &'static [u8]),")
    });
    let files: String = files.collect();
    format!("::sprat::devices::Folder::new(&[{files}])")
        .parse()
        .ok()
}

//! A router's graph in forms for people and programs.

use sprat_click::router::Router;

use super::arguments::Form;

/// The graph of a router.
pub(super) fn dump(router: &Router, form: Form) -> String {
    let flat = router.flat_configuration();
    let flows = router.flows();
    let mut text = match form {
        Form::Flat => flat.unparse(),
        Form::Json => flat.json(&flows).to_string(),
        Form::Dot => flat.dot(&flows).to_string(),
        Form::Svg => flat.svg(&flows).to_string(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

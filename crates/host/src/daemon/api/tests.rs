use std::collections::BTreeSet;

use super::*;

/// Every resource, as docs/edge.md names them.
#[test]
fn the_document_has_every_resource_that_the_manual_names_and_no_other() {
    let (_, document) = described();
    let document = serde_json::to_value(document).expect("JSON");
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let manual = include_str!("../../../../../docs/edge.md");
    let mut named = BTreeSet::new();
    for line in manual.lines().filter_map(|line| line.strip_prefix("| `")) {
        let Some((requests, _)) = line.split_once(" | ") else {
            continue;
        };
        let (methods, path) = requests.rsplit_once(' ').unwrap_or(("", requests));
        let path = path.trim_matches('`').split('?').next().unwrap_or_default();
        if let ("/v1/openapi.json", _) | (_, false) = (path, path.starts_with("/v1")) {
            continue;
        }
        let path = path
            .replace("NAME", "{name}")
            .replace("HANDLER", "{handler}");
        for method in methods.split(", ") {
            named.insert(format!("{} {path}", method.trim_matches('`')));
        }
    }
    assert_eq!(described, named);
}

/// OpenAPI 3.1, sections 4.8.10, 4.8.12 and 4.8.17.
#[test]
fn operations_have_names_of_their_own_parameters_a_place_and_responses_a_description() {
    let (_, document) = described();
    let document = serde_json::to_value(document).expect("JSON");
    let mut names = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for operation in methods.as_object().expect("methods").values() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().expect("a name");
                let in_path = path.contains(&format!("{{{name}}}"));
                let place = if in_path { "path" } else { "query" };
                assert_eq!(parameter["in"], place, "{path}: {name}");
                // Whatever is not in the path may be left out.
                assert_eq!(parameter["required"], in_path, "{path}: {name}");
            }
            let name = operation["operationId"].as_str().expect("a name");
            assert!(names.insert(name.to_string()), "{name}");
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses.contains_key("default") && responses.contains_key("200"));
            for response in responses.values() {
                let words = response["description"].as_str().expect("words");
                assert!(!words.is_empty(), "{operation}");
            }
        }
    }
    assert!(names.len() > 15, "{names:?}");
}

#[test]
fn whatever_the_document_refers_to_is_in_it() {
    let (_, document) = described();
    let document = serde_json::to_value(document).expect("JSON");
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        if let Some(reference) = value.get("$ref").and_then(|value| value.as_str()) {
            let pointer = reference.strip_prefix('#').expect("in this document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
            references += 1;
        }
        match value {
            serde_json::Value::Object(fields) => open.extend(fields.values()),
            serde_json::Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(references > 10, "{references}");
}

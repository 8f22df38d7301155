//! The API is what its document says it is.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use end_to_end::Host;
use serde_json::Value;

use crate::ALONE;

/// Makes a call: the status of the answer, its head, and what it says.
fn call(host: &Host, method: &str, path: &str, kind: &str, body: &str) -> (u16, String, String) {
    let socket = host.path().join("sprat/daemon.socket");
    let mut stream = UnixStream::connect(socket).expect("it listens");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a time");
    let length = body.len();
    // Of HTTP/1.0, so that no answer comes in chunks (RFC 9112, section 7.1).
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: sprat\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.expect("a status"), head.to_lowercase(), body.into())
}

/// Whether a value is as a schema says (OpenAPI 3.1, JSON Schema 2020-12), as far as the document's
/// schemas go; what is wrong with it.
fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("in this document");
        let schema = document.pointer(pointer).expect("it is there");
        return check(document, schema, value).map_err(|error| format!("{reference}: {error}"));
    }
    for kind in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[kind].as_array() {
            let errors = choices.iter().map(|choice| check(document, choice, value));
            let errors: Vec<_> = errors.filter_map(Result::err).collect();
            if errors.len() == choices.len() {
                return Err(format!("{value} is none of {errors:?}"));
            }
        }
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check(document, part, value)?;
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    };
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.into_iter().any(is) {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return Err(format!("{value} is none of {values:?}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        if value.is_object() && value.get(name).is_none() {
            return Err(format!("no {name} in {value}"));
        }
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let schema = match &schema["properties"][name] {
            Value::Null => &schema["additionalProperties"],
            described => described,
        };
        if schema.is_object() {
            check(document, schema, field).map_err(|error| format!("{name}: {error}"))?;
        } else if schema.as_bool() == Some(false) {
            return Err(format!("{name} is not described"));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        if schema["items"].is_object() {
            check(document, &schema["items"], item)?;
        }
    }
    let fields = schema["prefixItems"].as_array().into_iter().flatten();
    for (schema, item) in fields.zip(value.as_array().into_iter().flatten()) {
        check(document, schema, item)?;
    }
    Ok(())
}

#[test]
fn answers_are_as_the_document_says() {
    let host = Host::start(ALONE);
    host.good(&["up", "edge.toml"]);
    host.wait("one", "running");
    host.good(&["kill", "one"]);
    host.until(|| host.instance("one").filter(|one| one["restarts"] == 1));
    host.wait("one", "running");
    let get = |path: &str| call(&host, "GET", path, "text/plain", "");
    let (status, _, document) = get("/v1/openapi.json");
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let mut checked = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let described = &methods["get"]["responses"]["200"]["content"];
        let Some((kind, content)) = described.as_object().and_then(|all| all.iter().next()) else {
            continue;
        };
        if path.ends_with("/events") || path.ends_with("/capture") {
            // They go on, and are tested apart.
            continue;
        }
        let path = path
            .replace("{name}", "one")
            .replace("{handler}", "c.count");
        let (status, head, body) = get(&path);
        assert_eq!(status, 200, "{path}: {body}");
        let typed = format!("\r\ncontent-type: {kind}");
        assert!(head.contains(&typed), "{path}: {head}");
        if kind == "application/json" {
            let body = serde_json::from_str(&body).expect("JSON");
            let sound = check(&document, &content["schema"], &body);
            assert_eq!(sound, Ok(()), "{path}");
        }
        checked += 1;
    }
    assert!(checked >= 8, "{checked}");
    // The declaration that it gives is one that it takes.
    let (_, _, declared) = get("/v1/declared");
    let json = "application/json";
    let (status, _, changes) = call(&host, "PUT", "/v1/declared", json, &declared);
    assert_eq!((status, &*changes), (200, "{\"changes\":[]}"));
}

#[test]
fn whatever_is_wrong_with_a_request_is_said_in_json() {
    let host = Host::start("");
    let json = "application/json";
    for (method, path, kind, body, expected, words) in [
        ("GET", "/v1/nothing", json, "", 404, "no such resource"),
        (
            "GET",
            "/v1/instances/x/log?from=y",
            json,
            "",
            400,
            "from: invalid digit",
        ),
        ("DELETE", "/v1/status", json, "", 405, "method not allowed"),
        (
            "POST",
            "/v1/steer",
            "text/plain",
            "{}",
            415,
            "application/json",
        ),
        ("POST", "/v1/steer", json, "{", 400, "EOF"),
        (
            "POST",
            "/v1/steer",
            json,
            "{}",
            422,
            "missing field `shares`",
        ),
        (
            "PUT",
            "/v1/declared",
            json,
            "{\"functions\": 5}",
            422,
            "invalid type",
        ),
        (
            "POST",
            "/v1/functions/x/stop",
            json,
            "",
            400,
            "no function x",
        ),
    ] {
        let (status, head, body) = call(&host, method, path, kind, body);
        assert_eq!(status, expected, "{method} {path}: {body}");
        assert!(
            head.contains("\r\ncontent-type: application/json"),
            "{head}"
        );
        let refusal: Value = serde_json::from_str(&body).expect("JSON");
        let error = refusal["error"].as_str().expect("a text");
        assert!(error.contains(words), "{error}");
        assert_eq!(head.contains("\r\nallow: get"), status == 405, "{head}");
    }
}

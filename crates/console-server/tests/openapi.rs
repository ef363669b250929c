//! What is checked in as the API's description is what the code describes.
//! `OPENAPI=overwrite cargo test -p console-server --test openapi` writes it anew.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

#[test]
fn the_description_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/console.json");
    let described = console_server::openapi();
    if std::env::var_os("OPENAPI").is_some_and(|value| value == "overwrite") {
        std::fs::write(&file, &described).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(
        written == described,
        "openapi/console.json is not what the code describes: see this test's head"
    );
}

#[test]
fn operations_are_noun_and_verb_and_each_is_there_once() {
    let document: Value = serde_json::from_str(&console_server::openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut seen = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let tag = operation["tags"][0].as_str().unwrap();
            assert!(
                id.split_once('_').is_some_and(|(noun, _)| noun == tag),
                "{method} {path}: {id}, tag {tag}"
            );
            assert!(seen.insert(id.to_owned()), "{id} stands twice");
            assert!(operation["summary"].is_string(), "{id} says nothing of itself");
        }
    }
}

//! Holds what `--json` prints against `assets/schema.json`: every line that any test reads.

use serde_json::Value;

const SCHEMA: &str = include_str!("../../assets/schema.json");

/// Panics unless `line` is as the schema says, with no field that it does not describe.
#[track_caller]
pub(crate) fn check(line: &Value) {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    if let Err(problem) = fits(&schema, &schema, line) {
        panic!("{problem}, in {line}");
    }
}

/// As much of JSON Schema (2020-12) as the file uses; a keyword that is not known here is an error.
fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" | "properties" => {}
            "$ref" => {
                let path = rule.as_str().and_then(|path| path.strip_prefix('#'));
                let referred = path.and_then(|path| root.pointer(path));
                fits(root, referred.expect("a definition"), value)?;
            }
            "oneOf" => {
                let tried: Vec<_> = list(rule)
                    .iter()
                    .map(|one| fits(root, one, value))
                    .collect();
                if tried.iter().filter(|tried| tried.is_ok()).count() != 1 {
                    return Err(format!("not one of these: {tried:?}"));
                }
            }
            "type" => {
                let types = match rule {
                    Value::Array(types) => &types[..],
                    one => std::slice::from_ref(one),
                };
                if !types.iter().any(|name| is_a(value, name)) {
                    return Err(format!("{value} is no {rule}"));
                }
            }
            "enum" if list(rule).contains(value) => {}
            "enum" => return Err(format!("{value} is none of {rule}")),
            "required" => {
                let missing = list(rule)
                    .iter()
                    .find(|name| value.get(text(name)).is_none());
                if let Some(missing) = missing {
                    return Err(format!("no {missing}"));
                }
            }
            "items" => list(value)
                .iter()
                .try_for_each(|item| fits(root, rule, item))?,
            "minItems" if list(value).len() as u64 >= rule.as_u64().unwrap() => {}
            "maxItems" if list(value).len() as u64 <= rule.as_u64().unwrap() => {}
            "minItems" | "maxItems" => return Err(format!("{keyword} {rule}: {value}")),
            "additionalProperties" => {
                let values = value.as_object().unwrap().values();
                values
                    .into_iter()
                    .try_for_each(|value| fits(root, rule, value))?;
            }
            other => panic!("no rule for {other}"),
        }
    }
    let Some(properties) = schema.get("properties") else {
        return Ok(());
    };
    for (name, value) in value.as_object().unwrap() {
        let rule = properties.get(name);
        let rule = rule.ok_or_else(|| format!("{name} is not described"))?;
        fits(root, rule, value).map_err(|problem| format!("{name}: {problem}"))?;
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a name")
}

fn is_a(value: &Value, name: &Value) -> bool {
    match text(name) {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type {other}"),
    }
}

#[test]
fn what_is_not_described_or_missing_does_not_fit() {
    let failure = serde_json::json!({ "schema": 1, "image": "cat.png", "error": "gone" });
    check(&failure);
    let refused = |change: fn(&mut Value)| {
        let mut line = failure.clone();
        change(&mut line);
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        assert!(fits(&schema, &schema, &line).is_err(), "{line}");
    };
    refused(|line| line["image"] = 7.into());
    refused(|line| line["schema"] = 2.into());
    refused(|line| line["more"] = "than that".into());
    refused(|line| drop(line.as_object_mut().unwrap().remove("error")));
}

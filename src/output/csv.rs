//! Results as CSV (RFC 4180): a row for each map, and one for a picture without any.

use serde_json::Value;

/// The first row.
pub const HEADER: &str = "image,image_bytes,status,error,rank,class_id,class_name,synset,probability,logit,\
                          method,min,max,mean,verdict,files,energy_in_box,pointing_hit\n";

/// The rows of a picture, from its line of JSON.
pub fn rows(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap_or_default();
    let error = value.get("error");
    let status = if error.is_some() { "failed" } else { "ok" };
    let picture = [
        field(value.get("image")),
        field(value.get("image_bytes")),
        status.to_owned(),
        field(error),
    ];
    let list = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let mut rows = vec![];
    for class in list(&value, "classes") {
        let of_class = ["rank", "id", "name", "synset", "probability", "logit"];
        let of_class = of_class.map(|name| field(class.get(name)));
        for map in list(&class, "maps") {
            let of_map = ["method", "min", "max", "mean", "verdict"];
            let of_map = of_map.map(|name| field(map.get(name)));
            let in_boxes = ["energy_in_box", "pointing_hit"].map(|name| field(map.get(name)));
            let files = map["files"].as_object();
            let files = files
                .into_iter()
                .flatten()
                .filter_map(|(_, file)| file.as_str());
            let files = quoted(&files.collect::<Vec<_>>().join("; "));
            let row = picture
                .iter()
                .chain(&of_class)
                .chain(&of_map)
                .chain([&files])
                .chain(&in_boxes);
            rows.push(row.cloned().collect::<Vec<_>>());
        }
    }
    if rows.is_empty() {
        let empty = HEADER.split(',').count() - picture.len();
        rows.push([&picture[..], &vec![String::new(); empty]].concat());
    }
    let rows = rows.into_iter().map(|row| row.join(",") + "\n");
    rows.collect()
}

/// Nothing for what is absent or not finite.
fn field(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => quoted(text),
        Some(other) => quoted(&other.to_string()),
    }
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_map_is_a_row() {
        let line = r#"{"schema":1,"image":"a \"b\"\n,c.png","classes":[{"rank":0,"id":7,"name":"cat","synset":null,
            "probability":0.5,"logit":-1.25,"maps":[
            {"method":"gradcam","min":-1.0,"max":null,"mean":0.25,"verdict":"ok","files":{"heatmap":"x, y.png","gradcam":"z.png"},
             "energy_in_box":0.25,"pointing_hit":true},
            {"method":"rise","min":0,"max":1,"mean":0.5,"verdict":"ok","files":{}}]}]}"#;
        assert_eq!(
            rows(line),
            "\"a \"\"b\"\"\n,c.png\",,ok,,0,7,cat,,0.5,-1.25,gradcam,-1.0,,0.25,ok,\"x, y.png; z.png\",0.25,true\n\
             \"a \"\"b\"\"\n,c.png\",,ok,,0,7,cat,,0.5,-1.25,rise,0,1,0.5,ok,,,\n"
        );
    }

    #[test]
    fn a_picture_that_failed_is_a_row_as_long_as_the_others() {
        let row = rows(
            r#"{"schema":1,"image":"caf\ufffd.png","image_bytes":"caf%E9.png","error":"it, failed"}"#,
        );
        assert_eq!(
            row,
            "caf\u{fffd}.png,caf%E9.png,failed,\"it, failed\",,,,,,,,,,,,,,\n"
        );
        assert_eq!(HEADER.matches(',').count(), 17);
        assert_eq!(row.matches(',').count(), 18);
    }
}

//! The metadata as JSON: what is written reads back, what is wrong is named.

use super::*;
use crate::confidence::MarginUnit;
use crate::{Filter, Fit};

const FULL: &str = r#"{"format":1,"classes":["cat","dog"],
    "input":{"width":320,"height":256,"fit":"letterbox","filter":"catmull_rom",
             "mean":[0.5,0.25,0.125],"std":[0.5,1,2]},
    "network":{"backbone":"five_conv"},"recipe":null,"epoch":30,"metrics":{"iou":0.5}}"#;

#[test]
fn reads_its_own_keys_and_ignores_others() {
    let meta = ModelMeta::from_json(FULL).unwrap();
    assert_eq!(meta.classes, ["cat", "dog"]);
    let input = InputSpec {
        size: ImageSize { width: 320, height: 256 },
        fit: Fit::Letterbox,
        filter: Filter::CatmullRom,
        decode: Decode::Full,
        mean: [0.5, 0.25, 0.125],
        std: [0.5, 1.0, 2.0],
    };
    assert_eq!(meta.input, input);
    assert_eq!(input.values(), 3 * 320 * 256);
}

#[test]
fn json_can_be_read_back() {
    let mut meta = ModelMeta::from_json(FULL).unwrap();
    assert_eq!(meta.temperature, 1.0);
    let json = serde_json::to_string(&meta).unwrap();
    assert!(!json.contains("temperature"), "{json}");
    assert!(json.starts_with(r#"{"format":1,"classes":["cat","dog"],"input":{"width":320,"height":256,"#));
    assert_eq!(ModelMeta::from_json(&json).unwrap(), meta);
    meta.temperature = 1.7;
    let json = serde_json::to_string(&meta).unwrap();
    assert!(json.ends_with(r#""temperature":1.7}"#), "{json}");
    meta.presence_threshold = Some(0.25);
    let json = serde_json::to_string(&meta).unwrap();
    assert!(json.ends_with(r#""temperature":1.7,"presence_threshold":0.25}"#), "{json}");
    assert_eq!(ModelMeta::from_json(&json).unwrap(), meta);
    meta.margins = Some(Margins { coverage: 0.9, photos: 240, unit: MarginUnit::Edges, quantile: 1.25 });
    meta.expected_iou = Some(ExpectedIou { intercept: 0.5, slope: -0.75 });
    let json = serde_json::to_string(&meta).unwrap();
    let added = r#","margins":{"coverage":0.9,"photos":240,"unit":"edges","quantile":1.25},"expected_iou":{"intercept":0.5,"slope":-0.75}}"#;
    assert!(json.ends_with(added), "{json}");
    assert_eq!(ModelMeta::from_json(&json).unwrap(), meta);
}

#[test]
fn how_photos_are_decoded_is_recorded_unless_it_is_in_full() {
    let mut meta = ModelMeta::from_json(FULL).unwrap();
    assert_eq!(meta.input.decode, Decode::Full);
    assert!(!serde_json::to_string(&meta).unwrap().contains("decode"));
    meta.input.decode = Decode::Reduced;
    let json = serde_json::to_string(&meta).unwrap();
    assert!(json.contains(r#""filter":"catmull_rom","decode":"reduced","mean":"#), "{json}");
    assert_eq!(ModelMeta::from_json(&json).unwrap(), meta);
    let message = ModelMeta::from_json(&json.replace("reduced", "tiny")).unwrap_err().to_string();
    assert!(message.contains("unknown variant `tiny`, expected `full` or `reduced`"), "{message}");
    meta.second_look = Some(SecondLook { width: 64, height: 64, margin: 1.2 });
    let message = meta.check().unwrap_err().to_string();
    assert!(message.contains("`input.decode`") && message.contains("second look"), "{message}");
}

#[test]
fn each_invalid_value_is_an_error_with_its_key() {
    const FORMAT_1: &str = r#""format":1"#;
    let meta = ModelMeta::new(vec!["a".into()], InputSpec::default()).unwrap();
    let good = serde_json::to_string(&meta).unwrap();
    for (from, to, expected) in [
        (r#""format":1"#, r#""format":2"#, "needs loc >= 0.2.0"),
        (r#""format":1"#, r#""format":0"#, "`format`: 0"),
        (r#""format":1"#, r#""other":1"#, "missing field `format`"),
        (r#"["a"]"#, "[]", "`classes`: the list of class names is empty"),
        (r#"["a"]"#, r#"["a","b","a"]"#, "`classes`: \"a\" occurs twice"),
        (r#"["a"]"#, r#"["a",""]"#, "empty name"),
        (r#""width":256"#, r#""width":0"#, "`input`: 0×256 is not within 1×1 and 4096×4096"),
        (r#""height":256"#, r#""height":60000"#, "`input`: 256×60000"),
        (r#""width":256"#, r#""width":-3"#, "invalid value: integer `-3`"),
        (
            r#""fit":"stretch""#,
            r#""fit":"crop""#,
            "unknown variant `crop`, expected `stretch` or `letterbox`",
        ),
        (r#""std":[1.0,1.0,1.0]"#, r#""std":[1.0,0.0,1.0]"#, "`input.std`"),
        (r#""std":[1.0,1.0,1.0]"#, r#""std":[1.0,1.0]"#, "length 2"),
        (r#""mean":[0.0,0.0,0.0]"#, r#""mean":[0.0,1e99,0.0]"#, "number out of range"),
        (r#""fit":"#, r#""blur":2,"fit":"#, "unknown field `blur`"),
        (r#""format":1"#, r#""format":1,"temperature":0"#, "`temperature`: 0 is not within 0.01 and 100"),
        (r#""format":1"#, r#""format":1,"temperature":1e9"#, "`temperature`: 1000000000"),
        (r#""format":1"#, r#""format":1,"temperature":"warm""#, "invalid type"),
        (
            r#""format":1"#,
            r#""format":1,"presence_threshold":1.5"#,
            "`presence_threshold`: 1.5 is not within 0 and 1",
        ),
        (
            FORMAT_1,
            r#""format":1,"margins":{"coverage":1,"photos":9,"unit":"box","quantile":1}"#,
            "`margins`",
        ),
        (
            FORMAT_1,
            r#""format":1,"margins":{"coverage":0.9,"photos":9,"unit":"box","quantile":-1}"#,
            "0 or more",
        ),
        (
            FORMAT_1,
            r#""format":1,"margins":{"coverage":0.9,"photos":9,"unit":"side","quantile":1}"#,
            "`edges`",
        ),
        (FORMAT_1, r#""format":1,"expected_iou":{"intercept":0,"slope":1,"area":1}"#, "unknown field `area`"),
        ("{", "", "expected a JSON object"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from} is not in {good}");
        let message = ModelMeta::from_json(&bad).unwrap_err().to_string();
        assert!(message.contains(expected), "{bad}\nerror: {message}\nexpected: {expected}");
        assert!(message.contains("metadata `loc`") || message.contains("format 2"), "{message}");
    }
}

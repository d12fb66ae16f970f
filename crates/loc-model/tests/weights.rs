//! Tests weights on disk: the same weights give the same bytes, a file is read completely or rejected, and no invalid
//! file causes a panic.

use std::collections::BTreeMap;

use loc_model::weights::{load, to_bytes};
use loc_net::{InputShape, NetworkConfig, Normalization, Weight, WeightFile, Weights};
use proptest::prelude::*;

fn weight(shape: &[usize], data: &[f32]) -> Weight {
    Weight { shape: shape.to_vec(), data: data.to_vec() }
}

fn small() -> Weights {
    Weights(BTreeMap::from([
        ("conv1.weight".to_owned(), weight(&[1, 2], &[1.0, -0.5])),
        ("conv1.bias".to_owned(), weight(&[1], &[2.0])),
    ]))
}

/// A file with this header and these bytes of data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn the_file_has_exactly_these_bytes() {
    let header = concat!(
        r#"{"__metadata__":{"loc":"{\"format\":1}"},"#,
        r#""conv1.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#,
        r#""conv1.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]}}"#,
    );
    let header = format!("{header:<0$}", header.len().next_multiple_of(8));
    let data = [2.0_f32, 1.0, -0.5].map(f32::to_le_bytes).concat();
    assert_eq!(to_bytes(&small(), Some(r#"{"format":1}"#)).unwrap(), file(&header, &data));
}

#[test]
fn a_shape_that_does_not_match_the_values_is_rejected() {
    for (shape, values) in [(vec![2, 2], 3), (vec![0], 1), (vec![usize::MAX, 2], 2), (vec![], 2)] {
        let weights = Weights(BTreeMap::from([("fc.bias".into(), weight(&shape, &vec![0.0; values]))]));
        let message = to_bytes(&weights, None).unwrap_err().to_string();
        assert!(message.contains(&format!("`fc.bias` holds {values} values")), "{message}");
    }
}

#[test]
fn one_error_lists_all_differences() {
    let config = NetworkConfig::five_conv(InputShape { height: 188, width: 188 }, 2);
    let network = config.build(&Normalization::IDENTITY).unwrap();
    let message = small().check(&network).unwrap_err().to_string();
    for part in
        ["`conv1.weight` has the shape [1, 2]", "`conv1.bias` has the shape [1]", "missing `box_out.bias`"]
    {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(message.matches("missing").count(), 20);
}

#[test]
fn an_unreadable_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let message = |path: &std::path::Path| load(path).unwrap_err().to_string();
    assert!(message(&path).contains("model.safetensors"));
    assert!(message(folder.path()).contains(&folder.path().display().to_string()));

    let good = to_bytes(&small(), Some("{}")).unwrap();
    let header = |json: &str| file(json, &[0; 8]);
    let tensor = |shape: &str, offsets: &str, dtype: &str| {
        header(&format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#))
    };
    let cases = [
        ("empty", vec![]),
        ("seven bytes", vec![0; 7]),
        ("a header of 2⁶⁴ − 1 bytes", [0xff; 16].to_vec()),
        ("a header of 200 MB", 200_000_000_u64.to_le_bytes().to_vec()),
        ("a header longer than the file", 9_u64.to_le_bytes().to_vec()),
        ("a header that is not JSON", header("weights")),
        ("a header of another kind", header("[1, 2]")),
        ("cut off", good[..good.len() - 1].to_vec()),
        ("with trailing bytes", [&good[..], b"PK"].concat()),
        ("offsets reversed", tensor("[2]", "[8,0]", "F32")),
        ("a hole", tensor("[1]", "[4,8]", "F32")),
        ("a shape that is not the span", tensor("[3]", "[0,8]", "F32")),
        ("a shape that overflows", tensor("[18446744073709551615,3]", "[0,8]", "F32")),
        ("f64", tensor("[1]", "[0,8]", "F64")),
        ("an unknown type", tensor("[1]", "[0,8]", "F33")),
        ("metadata that is not text", header(r#"{"__metadata__":{"loc":1}}"#)),
    ];
    for (case, bytes) in cases {
        fs_err::write(&path, bytes).unwrap();
        let message = message(&path);
        assert!(message.starts_with(&path.display().to_string()), "{case}: {message}");
    }

    fs_err::write(&path, &good).unwrap();
    let read = load(&path).unwrap();
    assert_eq!((read.weights, read.metadata.as_deref()), (small(), Some("{}")));
}

fn any_weights() -> impl Strategy<Value = Weights> {
    let any_weight = prop::collection::vec(0_usize..4, 0..4).prop_flat_map(|shape| {
        let count: usize = shape.iter().product();
        // Any bits: a NaN is read back with the same bits.
        prop::collection::vec(any::<u32>(), count).prop_map(move |bits| Weight {
            shape: shape.clone(),
            data: bits.into_iter().map(f32::from_bits).collect(),
        })
    });
    prop::collection::btree_map("[a-z0-9._\"\\\\é]{1,12}", any_weight, 0..6).prop_map(Weights)
}

/// The bits of all values, since NaN is not equal to itself.
fn bits(weights: &Weights) -> Vec<(&str, &[usize], Vec<u32>)> {
    let bits = |w: &Weight| w.data.iter().map(|v| v.to_bits()).collect();
    weights.0.iter().map(|(name, w)| (name.as_str(), &w.shape[..], bits(w))).collect()
}

proptest! {
    #[test]
    fn written_weights_are_read_back(weights in any_weights(), metadata in prop::option::of(".*")) {
        let bytes = to_bytes(&weights, metadata.as_deref()).unwrap();
        prop_assert_eq!(&bytes, &to_bytes(&weights, metadata.as_deref()).unwrap());
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        prop_assert_eq!(header % 8, 0);
        let read = WeightFile::parse(&bytes).unwrap();
        prop_assert_eq!(bits(&read.weights), bits(&weights));
        prop_assert_eq!(read.metadata, metadata);
    }

    #[test]
    fn a_damaged_file_causes_no_panic(
        weights in any_weights(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let good = to_bytes(&weights, Some("{}")).unwrap();
        let mut bytes = good.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        drop(WeightFile::parse(&bytes));
        // A truncated file is never accepted.
        prop_assert!(WeightFile::parse(&good[..end.index(good.len())]).is_err());
    }
}

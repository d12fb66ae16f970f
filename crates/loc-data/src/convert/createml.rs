//! Create ML JSON: one list of all photos.

use std::collections::BTreeMap;

use serde::Serialize;

use super::place::Placed;

#[derive(Serialize)]
struct Photo<'a> {
    image: &'a str,
    annotations: Vec<Annotation<'a>>,
}

#[derive(Serialize)]
struct Annotation<'a> {
    label: &'a str,
    coordinates: Coordinates,
}

#[derive(Serialize)]
struct Coordinates {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

pub(super) fn files(photos: &[Placed<'_>], classes: &[String]) -> BTreeMap<String, Vec<u8>> {
    let photos: Vec<Photo<'_>> = photos
        .iter()
        .map(|placed| Photo {
            image: &placed.path,
            annotations: placed
                .photo
                .objects
                .iter()
                .map(|object| {
                    let [x1, y1, x2, y2] =
                        [object.bbox.x1, object.bbox.y1, object.bbox.x2, object.bbox.y2].map(f64::from);
                    let (width, height) = (x2 - x1, y2 - y1);
                    let coordinates = Coordinates { x: (x1 + x2) / 2.0, y: (y1 + y2) / 2.0, width, height };
                    Annotation { label: &classes[object.class], coordinates }
                })
                .collect(),
        })
        .collect();
    // Numbers and text alone: nothing in it can fail to be JSON.
    let document = serde_json::to_vec_pretty(&photos).unwrap_or_default();
    BTreeMap::from([("annotations.json".to_owned(), document)])
}

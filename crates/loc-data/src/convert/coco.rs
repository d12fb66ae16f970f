//! COCO JSON: a file for each split, with the same categories and ids that are unique over all of them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::place::{Placed, by_subset};

#[derive(Serialize)]
struct Document<'a> {
    images: Vec<Image<'a>>,
    annotations: Vec<Annotation>,
    categories: Vec<Category<'a>>,
}

#[derive(Serialize)]
struct Image<'a> {
    id: usize,
    file_name: &'a str,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Annotation {
    id: usize,
    image_id: usize,
    category_id: usize,
    bbox: [f64; 4],
    area: f64,
    iscrowd: u8,
}

#[derive(Serialize)]
struct Category<'a> {
    id: usize,
    name: &'a str,
    supercategory: &'static str,
}

pub(super) fn files(photos: &[Placed<'_>], classes: &[String]) -> BTreeMap<String, Vec<u8>> {
    let (mut image_id, mut annotation_id) = (0, 0);
    let mut files = BTreeMap::new();
    for (subset, photos) in by_subset(photos) {
        let categories = classes.iter().enumerate();
        let mut document = Document {
            images: Vec::with_capacity(photos.len()),
            annotations: Vec::new(),
            categories: categories.map(|(i, name)| Category { id: i + 1, name, supercategory: "" }).collect(),
        };
        for placed in photos {
            let photo = placed.photo;
            image_id += 1;
            document.images.push(Image {
                id: image_id,
                file_name: &placed.path,
                width: photo.size.width,
                height: photo.size.height,
            });
            for object in &photo.objects {
                annotation_id += 1;
                let b = object.bbox;
                let (x, y) = (f64::from(b.x1), f64::from(b.y1));
                // The difference of two f32 in f64: the right edge is read back to the bit.
                let (width, height) = (f64::from(b.x2) - x, f64::from(b.y2) - y);
                document.annotations.push(Annotation {
                    id: annotation_id,
                    image_id,
                    category_id: object.class + 1,
                    bbox: [x, y, width, height],
                    area: width * height,
                    iscrowd: 0,
                });
            }
        }
        let name = subset.map_or_else(
            || "annotations.json".to_owned(),
            |subset| format!("annotations/instances_{subset}.json"),
        );
        // Numbers and text alone: nothing in it can fail to be JSON.
        files.insert(name, serde_json::to_vec_pretty(&document).unwrap_or_default());
    }
    files
}

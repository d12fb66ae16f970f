//! What annotation tools write, by format: the same two photos, each with one object.

use loc_data::{BBox, Format};

use crate::common::voc;

/// Which tool, the format, and files with their content.
pub(crate) type Fixture = (&'static str, Format, Vec<(&'static str, String)>);

/// The box of the cat in `images/a.jpg`, of 200×100 pixels.
pub(crate) const A: BBox = BBox { x1: 10.0, y1: 20.0, x2: 110.0, y2: 70.0 };
/// The box of the dog in `images/b.jpg`, of the same size.
pub(crate) const B: BBox = BBox { x1: 0.5, y1: 0.0, x2: 100.5, y2: 50.0 };

/// The files that tools write for `a.jpg` with a cat at [`A`] and `b.jpg` with a dog at [`B`].
pub(crate) fn as_tools_write_it() -> Vec<Fixture> {
    let coco = |images: &str| {
        format!(
            "{{\"info\": {{}}, \"categories\": [{{\"id\": 0, \"name\": \"animals\"}}, {{\"id\": 7, \"name\": \"dog\"}}, \
             {{\"id\": 3, \"name\": \"cat\"}}],\n\"images\": [{images}],\n\"annotations\": [\
             {{\"id\": 1, \"image_id\": 11, \"category_id\": 3, \"bbox\": [10, 20.0, 100, 50], \"iscrowd\": 0}},\
             {{\"id\": 2, \"image_id\": 12, \"category_id\": 7, \"bbox\": [0.5, 0, 100, 50]}}]}}"
        )
    };
    let image = |id: u32, name: &str| {
        format!("{{\"id\": {id}, \"file_name\": \"{name}\", \"width\": 200, \"height\": 100}}")
    };
    let labelme = |name: &str, label: &str, b: BBox| {
        format!(
            "{{\"version\": \"5.4\", \"flags\": {{}}, \"shapes\": [{{\"label\": \"{label}\", \"points\": [[{}, {}], [{}, {}]], \
             \"group_id\": null, \"shape_type\": \"rectangle\", \"flags\": {{}}}}], \"imagePath\": \"../images/{name}\", \
             \"imageData\": null, \"imageHeight\": 100, \"imageWidth\": 200}}",
            b.x2, b.y2, b.x1, b.y1
        )
    };
    let task = |name: &str, label: &str, [x, y, w, h]: [f64; 4]| {
        format!(
            "{{\"id\": 1, \"annotations\": [{{\"id\": 1, \"was_cancelled\": false, \"result\": [{{\"original_width\": 200, \
             \"original_height\": 100, \"value\": {{\"x\": {x}, \"y\": {y}, \"width\": {w}, \"height\": {h}, \"rotation\": 0, \
             \"rectanglelabels\": [\"{label}\"]}}, \"from_name\": \"label\", \"to_name\": \"image\", \"type\": \
             \"rectanglelabels\"}}]}}], \"data\": {{\"image\": \"/data/upload/3/0a1b2c3d-{name}\"}}}}"
        )
    };
    let min = |label: &str, [x, y, w, h]: [f64; 4]| {
        format!(
            "[{{\"x\": {x}, \"y\": {y}, \"width\": {w}, \"height\": {h}, \"rotation\": 0, \"rectanglelabels\": [\"{label}\"], \
             \"original_width\": 200, \"original_height\": 100}}]"
        )
    };
    let (in_a, in_b) = ([5.0, 20.0, 50.0, 50.0], [0.25, 0.0, 50.0, 50.0]);
    let quoted = |json: String| format!("\"{}\"", json.replace('"', "\"\""));
    let vott = |name: &str, tag: &str, b: BBox| {
        format!(
            "{{\"asset\": {{\"format\": \"jpg\", \"id\": \"x\", \"name\": \"{name}\", \"path\": \"file:C:/{name}\", \"size\": \
             {{\"width\": 200, \"height\": 100}}}}, \"regions\": [{{\"id\": \"r\", \"type\": \"RECTANGLE\", \"tags\": [\"{tag}\"], \
             \"boundingBox\": {{\"height\": {}, \"width\": {}, \"left\": {}, \"top\": {}}}}}], \"version\": \"2.2.0\"}}",
            b.y2 - b.y1,
            b.x2 - b.x1,
            b.x1,
            b.y1
        )
    };
    let size = (200, 100);
    vec![
        (
            "VOC, LabelImg",
            Format::Voc,
            vec![
                ("annotations/a.xml", voc("a.jpg", size, &[("cat", [A.x1, A.y1, A.x2, A.y2])])),
                ("annotations/b.xml", voc("b.jpg", size, &[("dog", [B.x1, B.y1, B.x2, B.y2])])),
            ],
        ),
        ("COCO", Format::Coco, vec![("annotations/instances.json", coco(&[image(11, "a.jpg"), image(12, "b.jpg")].join(",")))]),
        (
            "COCO with folders in its names, as CVAT writes it",
            Format::Coco,
            vec![("annotations/instances_default.json", coco(&[image(11, "images/a.jpg"), image(12, "images/b.jpg")].join(",")))],
        ),
        (
            "YOLO, Ultralytics",
            Format::Yolo,
            vec![
                ("labels/a.txt", "1 0.3 0.45 0.5 0.5\n".into()),
                ("labels/b.txt", "0 0.2525 0.25 0.5 0.5".into()),
                ("data.yaml", "path: ../datasets/x\ntrain: images\nval: images\n\nnames:\n  0: dog\n  1: cat\n".into()),
            ],
        ),
        (
            "YOLO, Roboflow",
            Format::Yolo,
            vec![
                ("labels/a.txt", "1 0.3 0.45 0.5 0.5".into()),
                ("labels/b.txt", "0 0.2525 0.25 0.5 0.5".into()),
                ("data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['dog', 'cat']\n".into()),
                ("README.dataset.txt", "1 2 3 4 5".into()),
            ],
        ),
        (
            "YOLO, darknet, labels beside the photos",
            Format::Yolo,
            vec![
                ("images/a.txt", "1 0.3 0.45 0.5 0.5".into()),
                ("images/b.txt", "0 0.2525 0.25 0.5 0.5".into()),
                ("obj.names", "dog\ncat\n".into()),
                ("train.txt", "images/a.jpg\nimages/b.jpg\n".into()),
            ],
        ),
        (
            "labelme",
            Format::Labelme,
            vec![("json/a.json", labelme("a.jpg", "cat", A)), ("json/b.json", labelme("b.jpg", "dog", B))],
        ),
        (
            "Label Studio",
            Format::LabelStudio,
            vec![("project-1.json", format!("[{},{}]", task("a.jpg", "cat", in_a), task("b.jpg", "dog", in_b)))],
        ),
        (
            "Label Studio, JSON-MIN",
            Format::LabelStudio,
            vec![(
                "min.json",
                format!(
                    "[{{\"image\": \"/data/upload/3/0a1b2c3d-a.jpg\", \"id\": 1, \"label\": {}, \"annotator\": 1}}, \
                     {{\"image\": \"/data/local-files/?d=images%2Fb.jpg\", \"id\": 2, \"label\": {}, \"annotator\": 1}}]",
                    min("cat", in_a),
                    min("dog", in_b)
                ),
            )],
        ),
        (
            "Label Studio, CSV",
            Format::LabelStudio,
            vec![(
                "export.csv",
                format!(
                    "image,id,label,annotator\n/data/upload/3/0a1b2c3d-a.jpg,1,{},1\nimages/b.jpg,2,{},1\n",
                    quoted(min("cat", in_a)),
                    quoted(min("dog", in_b))
                ),
            )],
        ),
        (
            "Create ML",
            Format::CreateMl,
            vec![(
                "_annotations.createml.json",
                "[{\"image\": \"a.jpg\", \"annotations\": [{\"label\": \"cat\", \"coordinates\": {\"x\": 60, \"y\": 45, \"width\": \
                 100, \"height\": 50}}]}, {\"imagefilename\": \"b.jpg\", \"annotation\": [{\"label\": \"dog\", \"coordinates\": \
                 {\"x\": 50.5, \"y\": 25, \"width\": 100, \"height\": 50}}]}]"
                    .into(),
            )],
        ),
        (
            "VoTT, a project",
            Format::Vott,
            vec![(
                "vott-json-export/x-export.json",
                format!(
                    "{{\"name\": \"x\", \"tags\": [{{\"name\": \"dog\", \"color\": \"#fff\"}}, {{\"name\": \"cat\"}}], \"assets\": \
                     {{\"1\": {}, \"2\": {}}}}}",
                    vott("a.jpg", "cat", A),
                    vott("b.jpg", "dog", B)
                ),
            )],
        ),
        (
            "VoTT, a file a photo",
            Format::Vott,
            vec![("1-asset.json", vott("a.jpg", "cat", A)), ("2-asset.json", vott("b.jpg", "dog", B))],
        ),
        (
            "VoTT, first version",
            Format::Vott,
            vec![(
                "x.json",
                "{\"frames\": {\"a.jpg\": [{\"x1\": 10, \"y1\": 20, \"x2\": 110, \"y2\": 70, \"width\": 200, \"height\": 100, \
                 \"tags\": [\"cat\"]}], \"b.jpg\": [{\"x1\": 0.5, \"y1\": 0, \"x2\": 100.5, \"y2\": 50, \"width\": 200, \"height\": \
                 100, \"tags\": [\"dog\"]}]}, \"framerate\": \"1\", \"inputTags\": \"dog,cat\"}"
                    .into(),
            )],
        ),
        (
            "CSV, VoTT",
            Format::Csv,
            vec![("x.csv", "\"image\",\"xmin\",\"ymin\",\"xmax\",\"ymax\",\"label\"\n\"a.jpg\",10,20,110,70,\"cat\"\n\"b.jpg\",0.5,0,100.5,50,\"dog\"\n".into())],
        ),
        (
            "CSV, luminoth",
            Format::Csv,
            vec![("x.csv", "image_id,xmin,ymin,xmax,ymax,label\na,10,20,110,70,cat\nb,0.5,0,100.5,50,dog\n".into())],
        ),
        (
            "CSV, keras-retinanet with a header",
            Format::Csv,
            vec![("x.csv", "path,x1,y1,x2,y2,class_name\nimages/a.jpg,10,20,110,70,cat\nimages/b.jpg,0.5,0,100.5,50,dog\n".into())],
        ),
    ]
}

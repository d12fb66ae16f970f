//! The weighted sum of the losses, several boxes for a photo, and photos without an object.

use candle_core::{Device, Var};

use super::*;

fn output(logits: &[[f64; 3]], boxes: &[[f64; 4]]) -> ModelOutput {
    ModelOutput {
        edges: None,
        presence: None,
        logits: Tensor::from_slice(logits.as_flattened(), (logits.len(), 3), &Device::Cpu).unwrap(),
        boxes: Tensor::from_slice(boxes.as_flattened(), (boxes.len(), 4), &Device::Cpu).unwrap(),
    }
}

#[test]
fn total_is_the_weighted_sum() {
    let out = output(&[[0.1, 0.2, -0.3], [1.0, 0.0, 0.5]], &[[0.1, 0.2, 0.6, 0.7], [0.0, 0.1, 0.5, 1.0]]);
    let labels = Tensor::new(&[2u32, 0], &Device::Cpu).unwrap();
    let boxes = Tensor::new(&[[0.2, 0.2, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0]], &Device::Cpu).unwrap();
    for class in [ClassLoss::CrossEntropy, ClassLoss::CrossEntropyOnProbabilities] {
        let config = LossConfig { class, class_weight: 0.5, box_weight: 3.0, ..LossConfig::default() };
        let losses = config.compute(&out, &Truth::all(&labels, &boxes)).unwrap();
        let [total, class, boxes] =
            [losses.total, losses.class, losses.boxes].map(|t| t.to_scalar::<f64>().unwrap());
        assert!((total - (0.5 * class + 3.0 * boxes)).abs() < 1e-12);
    }
}

#[test]
fn each_of_several_boxes_has_its_own_loss() {
    let logits = Tensor::randn(0.0f64, 2.0, (3, 8, 5), &Device::Cpu).unwrap();
    let each =
        compose(&SoftmaxExpectation { bins: 5 }.into(), &[&logits.reshape((3, 40)).unwrap()], &[]).unwrap();
    let labels = Tensor::new(&[0u32, 1, 0], &Device::Cpu).unwrap();
    let boxes = Tensor::rand(0.0f64, 1.0, (3, 4), &Device::Cpu).unwrap();
    let config = LossConfig {
        boxes: BoxLoss::SmoothL1,
        overlap: OverlapLoss::Giou,
        edges_weight: 0.5,
        ..LossConfig::default()
    };
    let loss = |boxes_of: Tensor, edges: Tensor| {
        let logits = Tensor::zeros((3, 2), DType::F64, &Device::Cpu).unwrap();
        let out = ModelOutput { logits, boxes: boxes_of, edges: Some(edges), presence: None };
        config.compute(&out, &Truth::all(&labels, &boxes)).unwrap().boxes.to_scalar::<f64>().unwrap()
    };
    let of = |i: usize| {
        loss(each.narrow(1, 4 * i, 4).unwrap(), logits.narrow(1, 4 * i, 4).unwrap().contiguous().unwrap())
    };
    let together =
        loss(compose(&loc_net::ops::GroupMean { parts: 2 }.into(), &[&each], &[]).unwrap(), logits.clone());
    assert!((together - (of(0) + of(1)) / 2.0).abs() < 1e-12, "{together}, {} and {}", of(0), of(1));
}

#[test]
fn photos_without_an_object_count_in_presence_alone() {
    // The second and the fourth photo show nothing; their labels and boxes are others in a second reckoning.
    let present = Tensor::new(&[1.0f64, 0.0, 1.0, 0.0], &Device::Cpu).unwrap();
    let of =
        |tensor: &Tensor| tensor.index_select(&Tensor::new(&[0u32, 2], &Device::Cpu).unwrap(), 0).unwrap();
    let random = |dims: &[usize]| Tensor::rand(0.05f64, 0.95, dims, &Device::Cpu).unwrap();
    let (logits, edges, z) = (random(&[4, 3]), random(&[4, 4, 5]), random(&[4]));
    let boxes = Tensor::new(&[[0.1f64, 0.2, 0.6, 0.7]; 4], &Device::Cpu).unwrap();
    let predicted = (random(&[4, 4]) * 0.1).unwrap().add(&boxes).unwrap();
    let out = |presence: Option<Tensor>, part: &dyn Fn(&Tensor) -> Tensor| ModelOutput {
        logits: part(&logits),
        boxes: part(&predicted),
        edges: Some(part(&edges)),
        presence,
    };
    let (first, second) = ([2u32, 0, 1, 1], [2u32, 2, 1, 0]);
    for (class, weights, smoothing) in [
        (ClassLoss::CrossEntropy, vec![], 0.0),
        (ClassLoss::CrossEntropy, vec![1.0, 2.0, 0.5], 0.1),
        (ClassLoss::CrossEntropyOnProbabilities, vec![], 0.0),
    ] {
        for (boxes_by, overlap) in [
            (BoxLoss::Mse, OverlapLoss::Giou),
            (BoxLoss::SmoothL1, OverlapLoss::Ciou),
            (BoxLoss::L1, OverlapLoss::Diou),
        ] {
            let class_weights = weights.clone();
            let config = LossConfig {
                class,
                class_weights,
                label_smoothing: smoothing,
                boxes: boxes_by,
                overlap,
                edges_weight: 0.5,
                presence_weight: 2.0,
                ..LossConfig::default()
            };
            let [one, other] = [first, second].map(|labels| {
                let labels = Tensor::new(&labels, &Device::Cpu).unwrap();
                let truth = Truth { labels: &labels, boxes: &boxes, present: Some(&present) };
                config.compute(&out(Some(z.clone()), &Tensor::clone), &truth).unwrap()
            });
            let labels = Tensor::new(&[first[0], first[2]], &Device::Cpu).unwrap();
            let alone = config.compute(&out(None, &of), &Truth::all(&labels, &of(&boxes))).unwrap();
            let value = |t: &Tensor| t.to_scalar::<f64>().unwrap();
            for losses in [&one, &other] {
                assert!((value(&losses.class) - value(&alone.class)).abs() < 1e-12, "{config:?}");
                assert!((value(&losses.boxes) - value(&alone.boxes)).abs() < 1e-12, "{config:?}");
                let presence = value(losses.presence.as_ref().unwrap());
                assert!((value(&losses.total) - value(&alone.total) - 2.0 * presence).abs() < 1e-12);
            }
            assert!(alone.presence.is_none());
        }
    }
}

#[test]
fn a_batch_without_an_object_moves_nothing_but_presence() {
    let [logits, boxes, z] = [&[2usize, 3][..], &[2, 4], &[2]]
        .map(|dims| Var::from_tensor(&Tensor::rand(0.1f32, 0.9, dims, &Device::Cpu).unwrap()).unwrap());
    let out = ModelOutput {
        logits: logits.as_tensor().clone(),
        boxes: boxes.as_tensor().clone(),
        edges: None,
        presence: Some(z.as_tensor().clone()),
    };
    let labels = Tensor::new(&[0u32, 0], &Device::Cpu).unwrap();
    let anywhere = Tensor::new(&[[0.25f32, 0.25, 0.75, 0.75]; 2], &Device::Cpu).unwrap();
    let none = Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
    for class_weights in [vec![], vec![1.0, 2.0, 3.0]] {
        let config = LossConfig { class_weights, overlap: OverlapLoss::Ciou, ..LossConfig::default() };
        let truth = Truth { labels: &labels, boxes: &anywhere, present: Some(&none) };
        let losses = config.compute(&out, &truth).unwrap();
        assert_eq!([&losses.class, &losses.boxes].map(|t| t.to_scalar::<f32>().unwrap()), [0.0, 0.0]);
        let gradients = losses.total.backward().unwrap();
        let sum = |var: &Var| {
            let gradient = gradients.get(var).unwrap().abs().unwrap();
            gradient.sum_all().unwrap().to_scalar::<f32>().unwrap()
        };
        assert_eq!((sum(&logits), sum(&boxes)), (0.0, 0.0));
        assert!(sum(&z) > 0.5 && sum(&z).is_finite(), "towards absent");
    }
}

#[test]
fn gradient_reaches_both_heads() {
    let logits = Var::new(&[[0.3f64, -0.2]], &Device::Cpu).unwrap();
    let predicted = Var::new(&[[0.3f64, 0.2, 0.9, 0.8]], &Device::Cpu).unwrap();
    let out = ModelOutput {
        logits: logits.as_tensor().clone(),
        boxes: predicted.as_tensor().clone(),
        edges: None,
        presence: None,
    };
    let labels = Tensor::new(&[1u32], &Device::Cpu).unwrap();
    let boxes = Tensor::new(&[[0.0f64, 0.0, 1.0, 1.0]], &Device::Cpu).unwrap();
    let grads =
        LossConfig::default().compute(&out, &Truth::all(&labels, &boxes)).unwrap().total.backward().unwrap();
    assert!(grads.get(&logits).is_some() && grads.get(&predicted).is_some());
}

#[test]
fn unsuitable_shapes_are_rejected_and_named() {
    let out = output(&[[0.1, 0.2, -0.3], [1.0, 0.0, 0.5]], &[[0.1, 0.2, 0.6, 0.7], [0.0, 0.1, 0.5, 1.0]]);
    let labels = |v: &[u32]| Tensor::new(v, &Device::Cpu).unwrap();
    let boxes = |n: usize, k: usize| Tensor::zeros((n, k), DType::F64, &Device::Cpu).unwrap();
    let floats = Tensor::zeros(2, DType::F64, &Device::Cpu).unwrap();
    let cases = [
        (labels(&[0]), boxes(2, 4), "[2]"),
        (labels(&[0, 3]), boxes(2, 4), "label 3 of sample 1"),
        (floats, boxes(2, 4), "U32"),
        (labels(&[0, 1]), boxes(2, 5), "[2, 5]"),
        (labels(&[0, 1]), boxes(1, 4), "[1, 4]"),
    ];
    for (labels, boxes, part) in cases {
        let error =
            LossConfig::default().compute(&out, &Truth::all(&labels, &boxes)).unwrap_err().to_string();
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }
    let empty = ModelOutput { logits: boxes(0, 3), boxes: boxes(0, 4), edges: None, presence: None };
    let error = LossConfig::default()
        .compute(&empty, &Truth::all(&labels(&[]), &boxes(0, 4)))
        .unwrap_err()
        .to_string();
    assert!(error.contains("at least one sample"), "{error}");
}

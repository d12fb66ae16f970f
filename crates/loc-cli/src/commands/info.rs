//! `loc info`: describes a model, an ONNX file or a run.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use loc_infer::ModelMeta;
use loc_net::{Level, Network};
use loc_train::{Run, Status};
use serde::Serialize;
use serde_json::{Value, json};

use super::model::{self, Model};
use crate::args::{InfoArgs, TextFormat};
use crate::output::{Exit, Output, escape};

/// The record, and how a person reads it.
struct Info {
    record: Value,
    text: String,
}

pub(crate) fn run(args: &InfoArgs, output: &Output) -> Result<Exit> {
    let info = if args.path.is_dir() {
        of_run(&args.path)?
    } else if args.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx")) {
        of_onnx(&args.path)?
    } else {
        of_model(&args.path)?
    };
    match args.format {
        TextFormat::Json => output.json(&info.record)?,
        TextFormat::Text => output.data(escape(&info.text).trim_end())?,
    }
    Ok(Exit::Ok)
}

#[derive(Serialize)]
struct LayerInfo<'a> {
    name: &'a str,
    op: String,
    output: &'a [usize],
    parameters: usize,
    multiply_adds: usize,
}

/// The second look's network.
#[derive(Serialize)]
struct Second {
    parameters: usize,
    multiply_adds: usize,
}

impl Second {
    fn of(network: &Network) -> Self {
        let multiply_adds = (0..network.layers().len()).map(|i| network.multiply_adds(i)).sum();
        Self { parameters: network.parameter_count(), multiply_adds }
    }
}

fn of_model(path: &Path) -> Result<Info> {
    let model = Model::load(&model::locate(path)?)?;
    let network = &model.network;
    let layers: Vec<LayerInfo> = (0..network.layers().len()).map(|i| layer(network, i)).collect();
    let total: usize = layers.iter().map(|l| l.multiply_adds).sum();
    let second = model.second.as_ref().map(|(network, _)| Second::of(network));
    let mut text = format!("model      {}\n", path.display());
    let file = &model.file;
    let (w, h) = (file.meta.input.size.width, file.meta.input.size.height);
    let input = serde_json::to_value(file.meta.input)?;
    // Writing to a string cannot fail.
    let _ = writeln!(text, "classes    {}", file.meta.classes.join(", "));
    let _ = writeln!(
        text,
        "input      {w}×{h}, fit {}, filter {}, decode {}, mean {:?}, std {:?}",
        input["fit"].as_str().unwrap_or("?"),
        input["filter"].as_str().unwrap_or("?"),
        input["decode"].as_str().unwrap_or("full"),
        file.meta.input.mean,
        file.meta.input.std
    );
    if let Some(epoch) = file.epoch {
        let _ = writeln!(text, "trained    {epoch} epochs");
    }
    if let Some(m) = file.metrics {
        let _ = writeln!(
            text,
            "reached    accuracy {:.3}, mean IoU {:.3}, localization accuracy {:.3}",
            m.accuracy, m.mean_iou, m.localization_accuracy
        );
    }
    if file.meta.temperature != 1.0 {
        let _ = writeln!(text, "softmax    at temperature {}", file.meta.temperature);
    }
    let _ = match (network.presence(), file.meta.presence_threshold) {
        (None, _) => writeln!(text, "presence   always answers: trained without photos without an object"),
        (Some(_), threshold) => {
            let threshold = threshold.unwrap_or(ModelMeta::NEUTRAL);
            writeln!(text, "presence   an object is taken to be there from probability {threshold:.3} on")
        }
    };
    if let Some(record) = &file.calibrated {
        let _ = writeln!(text, "confidence {record}");
    }
    if let Some(m) = file.meta.margins {
        let _ = writeln!(text, "margins    for a coverage of {}", m.coverage);
    }
    let _ = writeln!(text, "parameters {}", network.parameter_count());
    let _ = writeln!(text, "work       {:.1} million multiply-adds a photo", total as f64 / 1e6);
    let isa = Level::current();
    let _ = writeln!(text, "kernels    {}, vectors of {} numbers", isa.name(), isa.lanes());
    if let (Some(second), Some(look)) = (&second, file.meta.second_look) {
        let _ = writeln!(
            text,
            "looks      2: then the part around the box, {} times its sides, at {}×{}: {:.1} million more",
            look.margin,
            look.width,
            look.height,
            second.multiply_adds as f64 / 1e6
        );
    }
    text.push('\n');
    let _ = writeln!(
        text,
        "{:<12} {:<28} {:>14} {:>11} {:>14}",
        "layer", "", "output", "parameters", "multiply-adds"
    );
    for l in &layers {
        let shape: Vec<String> = l.output.iter().map(ToString::to_string).collect();
        let shape = shape.join("×");
        let _ = writeln!(
            text,
            "{:<12} {:<28} {shape:>14} {:>11} {:>14}",
            l.name, l.op, l.parameters, l.multiply_adds
        );
    }
    let mut record = json!({
        "schema": "loc.info/1", "kind": "model", "path": path.display().to_string(),
        "metadata": serde_json::from_str::<Value>(&model.json)?,
        "parameters": network.parameter_count(), "multiply_adds": total, "layers": layers,
        "isa": Level::current().name(),
    });
    if let Some(second) = second {
        record["second_look"] = serde_json::to_value(second)?;
    }
    Ok(Info { record, text })
}

fn layer(network: &Network, index: usize) -> LayerInfo<'_> {
    let layer = &network.layers()[index];
    let of_layer = network.params().iter().filter(|p| p.layer == index);
    LayerInfo {
        name: &layer.name,
        op: layer.op.describe(),
        output: &network.shape(index).0,
        parameters: of_layer.map(|p| p.shape.iter().product::<usize>()).sum(),
        multiply_adds: network.multiply_adds(index),
    }
}

fn of_onnx(path: &Path) -> Result<Info> {
    let s = loc_model::export::summary(&fs_err::read(path)?)
        .map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    let mut text = format!("onnx       {}\n", path.display());
    let _ = writeln!(text, "producer   {} {}", s.producer, s.producer_version);
    let _ = writeln!(text, "opset      {}", s.opset);
    for (what, values) in [("input", &s.inputs), ("output", &s.outputs)] {
        for (name, shape) in values {
            let _ = writeln!(text, "{what:<10} {name} [{}]", shape.join(", "));
        }
    }
    let _ = writeln!(text, "parameters {}", s.parameters);
    let _ = writeln!(text, "nodes      {}", s.nodes.join(", "));
    for (key, value) in &s.metadata {
        let _ = writeln!(text, "{key:<10} {value}");
    }
    let values = |v: &[(String, Vec<String>)]| -> Value {
        v.iter().map(|(name, shape)| json!({"name": name, "shape": shape})).collect()
    };
    let metadata: serde_json::Map<String, Value> =
        s.metadata.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect();
    let record = json!({
        "schema": "loc.info/1", "kind": "onnx", "path": path.display().to_string(),
        "producer": s.producer, "producer_version": s.producer_version, "opset": s.opset,
        "inputs": values(&s.inputs), "outputs": values(&s.outputs),
        "parameters": s.parameters, "nodes": s.nodes, "metadata": metadata,
    });
    Ok(Info { record, text })
}

fn of_run(path: &Path) -> Result<Info> {
    let run = Run::open(path)?;
    let (status, rows) = (run.status()?, run.rows()?);
    let config: Value =
        serde_json::to_value(toml::from_str::<toml::Table>(&fs_err::read_to_string(run.config())?)?)?;
    let mut text = format!("run        {}\n", path.display());
    let shown = |key: &str| match &config[key] {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    let status = match status {
        Status::Running => "running, or killed",
        Status::Finished => "finished",
        Status::EarlyStopped => "stopped early: no improvement",
        Status::Interrupted => "interrupted",
        Status::Failed => "failed",
    };
    let _ = writeln!(text, "status     {status}");
    for key in ["recipe", "data", "seed", "epochs", "batch", "lr"] {
        let _ = writeln!(text, "{key:<10} {}", shown(key));
    }
    if let Some(last) = rows.last() {
        let best = rows.iter().fold(last, |best, row| {
            let key = |r: &loc_train::Row| (r.val_acc_iou50, r.val_iou);
            if key(row) > key(best) { row } else { best }
        });
        for (what, row) in [("last", last), ("best", best)] {
            let _ = writeln!(
                text,
                "{what:<10} epoch {}: accuracy {:.3}, mean IoU {:.3}, localization accuracy {:.3}",
                row.epoch, row.val_acc, row.val_iou, row.val_acc_iou50
            );
        }
    }
    let record = json!({
        "schema": "loc.info/1", "kind": "run", "path": path.display().to_string(),
        "status": run.status()?, "config": config, "results": rows,
    });
    Ok(Info { record, text })
}

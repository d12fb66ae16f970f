//! Lines as users of other tools write them, and what they are answered.

use clap::CommandFactory;

use super::*;
use crate::args::Cli;

fn root() -> Command {
    let mut root = Cli::command();
    root.build();
    root
}

fn hints(line: &str) -> String {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    suggest(&args, &root()).map(|suggestion| suggestion.hints.join(" | ")).unwrap_or_default()
}

#[test]
fn the_table_names_flags_that_there_are() {
    let root = root();
    for (path, name) in synonyms::flags() {
        let command = path.split(' ').fold(&root, |command, word| command.find_subcommand(word).unwrap());
        assert!(flag(command, name).is_some(), "loc {path} has no {name}");
    }
}

#[test]
fn habits_of_other_tools_are_answered_with_our_words() {
    for (line, expected) in [
        ("train --data shapes epochs=50", "did you mean `--epochs 50`?"),
        (
            "train model=m.safetensors data=d imgsz=640,480",
            "did you mean `--init m.safetensors`, `--data d`, `--imgsz 640`? | as a whole: `loc train --init m.safetensors --data d --imgsz 640`",
        ),
        ("detect train data=d", "did you mean `--data d`? | as a whole: `loc train --data d`"),
        (
            "task=detect mode=train data=d epochs=3",
            "did you mean `--data d`, `--epochs 3`? | as a whole: `loc train --data d --epochs 3`",
        ),
        ("train –epochs 3 --data d", "did you mean `--epochs`?"),
        ("predict —m x.safetensors a.jpg", "did you mean `-m`?"),
        ("train --data d --img 640", "did you mean `--imgsz 640`?"),
        (
            "train --data d --batch-size 8 --lr0 0.1",
            "did you mean `--batch 8`, `--lr 0.1`? | as a whole: `loc train --data d --batch 8 --lr 0.1`",
        ),
        ("train --data d --batch_size=8", "did you mean `--batch 8`?"),
        ("train --data d --exist_ok", "did you mean `--exist-ok`?"),
        ("train --data d exist_ok=True", "did you mean `--exist-ok`?"),
        ("train --data d -epochs 3", "did you mean `--epochs 3`?"),
        (
            "train --data d --batch -1",
            "leave `--batch` out: the size is then the recipe's, there is no automatic one",
        ),
        (
            "train data=d batch=-1",
            "did you mean `--data d`? | leave `--batch` out: the size is then the recipe's, there is no automatic one",
        ),
        ("train --data d --imgsz 640x480", "did you mean `--imgsz 640`?"),
        ("train --data d --imgsz [640,480]", "did you mean `--imgsz 640`?"),
        ("train photos/", "did you mean `loc train --data photos/`?"),
        (
            "train photos/ model.pt cfg.toml",
            "did you mean `loc train --data photos/ --init model.pt --config cfg.toml`?",
        ),
        ("train --data d device=0", "did you mean `--device cuda:0`?"),
        ("train photos", "did you mean `loc train --data photos`?"),
        ("train --data-format voc photos", "did you mean `loc train --data-format voc --data photos`?"),
        ("lr-find boxes.csv", "did you mean `loc lr-find --data boxes.csv`?"),
        (
            "detect --weights m.safetensors --source a.jpg",
            "did you mean `--model m.safetensors`? | as a whole: `loc predict --model m.safetensors a.jpg`",
        ),
        ("predict model.safetensors photo.jpg", "did you mean `loc predict -m model.safetensors photo.jpg`?"),
        ("predict -m m.safetensors source=a.jpg", "did you mean `loc predict -m m.safetensors a.jpg`?"),
        ("predict -m m.safetensors - source=a.jpg", "did you mean `loc predict -m m.safetensors - a.jpg`?"),
        (
            "predict -m m.safetensors a.jpg --imgsz 640",
            "leave `--imgsz` out: a model knows the size of its input",
        ),
        (
            "predict -m m.safetensors a.jpg conf=0.25 save_txt=True",
            "did you mean `--conf 0.25`, `--save-labels voc`? | as a whole: `loc predict -m m.safetensors a.jpg --conf 0.25 --save-labels voc`",
        ),
        ("test m.safetensors --data d", "did you mean `loc val -m m.safetensors --data d`?"),
        ("eval m.pth d/", "did you mean `loc eval -m m.pth --data d/`?"),
        ("export m.safetensors", "did you mean `loc export -m m.safetensors`?"),
        (
            "export model=m.safetensors format=onnx",
            "did you mean `--model m.safetensors`, `--format onnx`? | as a whole: `loc export --model m.safetensors --format onnx`",
        ),
        ("check d", "did you mean `loc data check d`?"),
        ("data check data=d", "did you mean `loc data check d`?"),
        ("info model=m.safetensors", "did you mean `loc info m.safetensors`?"),
        (
            "train coco.yaml",
            "loc reads no YAML: `--data` takes the data set's folder, `--config` a TOML file (coco.yaml is neither)",
        ),
        ("train dataset='my", "did you mean `--data my`?"),
    ] {
        assert_eq!(hints(line), expected, "loc {line}");
    }
}

#[test]
fn lines_as_they_should_be_are_left_alone() {
    for line in [
        "train --data shapes --epochs 50 --lr=0.1 --classes cat,dog --resume",
        "train --resume runs/train/exp",
        "val -m m.safetensors --data d --fail-under iou=0.7,acc=0.9",
        "val --model=m.safetensors --data d --fail-under=iou=0.7",
        "predict -m m.safetensors a.jpg b.safetensors model.pt",
        "predict -m m.safetensors -- epochs=3 –x",
        "predict -m m.safetensors odd=name.jpg",
        "data split d --val 0.3 -o s.csv",
        "import p.pth -o m.safetensors --classes a,b",
        "lr-find --data d --low 1e-6",
        "weights list",
        "--color never info m.safetensors",
        "frobnicate x",
        "train --data d x",
        "data frobnicate",
        "",
    ] {
        assert_eq!(hints(line), "", "loc {line}");
    }
}

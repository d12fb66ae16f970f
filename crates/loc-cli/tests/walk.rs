//! `docs/walk.md`: its commands run here, one after the other, on photos labelled in LabelImg's, YOLO's and COCO's manner, and
//! print what the page says. Numbers may differ; a line `…` stands for any lines.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use std::path::Path;

use common::Desk;
use fs_err as fs;

/// A command of the page, and the lines that it prints.
struct Step {
    command: String,
    output: Vec<String>,
}

/// The commands `loc …` of the page's console blocks.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            steps.push(Step { command: command.to_owned(), output: Vec::new() });
        } else if let Some(step) = steps.last_mut().filter(|_| inside) {
            step.output.push(line.to_owned());
        }
    }
    steps.retain(|step| step.command.starts_with("loc "));
    steps
}

/// The photos of the sample set as three people labelled theirs.
fn label(desk: &Desk) {
    desk.ok(&["data", "sample", "shapes", "--n", "90"]);
    for from in fs::read_dir(desk.path("shapes/images")).unwrap().map(|e| e.unwrap().path()) {
        let name = from.file_name().unwrap().to_str().unwrap().to_owned();
        let stem = name.trim_end_matches(".jpg");
        let xml = fs::read_to_string(desk.path(&format!("shapes/annotations/{stem}.xml"))).unwrap();
        let field = |field: &str| {
            let rest = xml.split(&format!("<{field}>")).nth(1).unwrap();
            rest.split(&format!("</{field}>")).next().unwrap().to_owned()
        };
        let number = |name: &str| field(name).parse::<f64>().unwrap();
        let [w, h] = ["width", "height"].map(number);
        let [x1, y1, x2, y2] = ["xmin", "ymin", "xmax", "ymax"].map(number);
        let class = field("name");
        // LabelImg: whole pixels, and the path of the machine it ran on.
        let rounded = xml.replace(
            "<folder>images</folder>",
            &format!("<folder>photos</folder>\n\t<path>C:\\photos\\{name}</path>"),
        );
        desk_write(desk, &format!("labelimg/{name}"), &fs::read(&from).unwrap());
        desk_write(desk, &format!("labelimg/{stem}.xml"), rounded.as_bytes());
        let number = ["box", "disc", "star"].iter().position(|known| *known == class).unwrap();
        let (x, y) = ((x1 + x2) / 2.0 / w, (y1 + y2) / 2.0 / h);
        let line = format!("{number} {x:.6} {y:.6} {:.6} {:.6}\n", (x2 - x1) / w, (y2 - y1) / h);
        desk_write(desk, &format!("yolo/images/{name}"), &fs::read(&from).unwrap());
        desk_write(desk, &format!("yolo/labels/{stem}.txt"), line.as_bytes());
    }
    desk_write(desk, "yolo/classes.txt", b"box\ndisc\nstar\n");
    desk.ok(&["data", "convert", "shapes", "--to", "coco", "-o", "coco", "--photos", "copy"]);
    // One slip: a box that was drawn over the edge, from right to left.
    let path = desk.path("labelimg/shape-00007.xml");
    let xml = fs::read_to_string(&path).unwrap();
    let edge = |xml: &str, name: &str, value: &str| {
        let (before, rest) = xml.split_once(&format!("<{name}>")).unwrap();
        format!("{before}<{name}>{value}{}", &rest[rest.find('<').unwrap()..])
    };
    fs::write(&path, edge(&edge(&xml, "xmin", "300"), "xmax", "40")).unwrap();
    fs::remove_dir_all(desk.path("shapes")).unwrap();
}

fn desk_write(desk: &Desk, name: &str, bytes: &[u8]) {
    let path = desk.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The text with each number as `#`, and without blanks around it.
fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    for word in line.split_whitespace() {
        let mut plain = String::new();
        let mut number = false;
        for c in word.chars() {
            let digit = c.is_ascii_digit() || (number && c == '.');
            if !(digit && number) {
                plain.push(if digit { '#' } else { c });
            }
            number = digit;
        }
        out += &plain;
        out.push(' ');
    }
    out.trim_end().to_owned()
}

/// Whether the lines are those expected, of which `…` stands for any.
fn fits(lines: &[String], expected: &[String]) -> bool {
    match (lines, expected) {
        ([], []) => true,
        (_, [any, rest @ ..]) if any == "…" => {
            (0..=lines.len()).any(|skipped| fits(&lines[skipped..], rest))
        }
        ([line, lines @ ..], [first, rest @ ..]) => line == first && fits(lines, rest),
        _ => false,
    }
}

#[test]
fn the_walk_leads_from_labels_to_a_report() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/walk.md");
    let steps = steps(&fs::read_to_string(page).unwrap());
    assert!(steps.len() >= 10, "the page has only {} commands", steps.len());
    let desk = Desk::new();
    label(&desk);
    for Step { command, output } in steps {
        let args: Vec<&str> = command.split_whitespace().skip(1).collect();
        // One file for both streams: a reader sees them in one order, too.
        let file = fs::File::create(desk.path("output.txt")).unwrap().into_file();
        let mut call = desk.command(&args);
        call.stdout(file.try_clone().unwrap()).stderr(file);
        let status = call.status().unwrap();
        let printed = fs::read_to_string(desk.path("output.txt")).unwrap();
        let said = |lines: &mut dyn Iterator<Item = &str>| lines.map(without_numbers).collect::<Vec<_>>();
        let found = said(&mut printed.lines());
        let expected = said(&mut output.iter().map(String::as_str));
        assert!(fits(&found, &expected), "{command}\n{printed}\nis not what docs/walk.md says");
        let errors_are_shown = command.starts_with("loc data check") && printed.contains(" 2 errors");
        let code = if errors_are_shown { 4 } else { 0 };
        assert_eq!(status.code(), Some(code), "{command}\n{printed}");
    }
}

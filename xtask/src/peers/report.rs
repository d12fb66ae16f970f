//! The rows of the comparison, as JSON and as a table, which can be written to a folder.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use fs_err as fs;
use serde::Serialize;

/// The comparison with one peer in one task.
#[derive(Serialize)]
pub(super) struct Row {
    work: String,
    peer: String,
    /// The medians of the rounds.
    ours: f64,
    theirs: f64,
    unit: &'static str,
    /// Ours ÷ theirs: median, minimum and maximum of the rounds.
    ratio: f64,
    min: f64,
    max: f64,
    /// The values of each round: ours, theirs.
    pairs: Vec<(f64, f64)>,
}

impl Row {
    pub(super) fn new(work: &str, peer: &str, unit: &'static str, pairs: &[(f64, f64)]) -> Self {
        let ratios: Vec<f64> = pairs.iter().map(|(ours, theirs)| ours / theirs).collect();
        Self {
            work: work.to_owned(),
            peer: peer.to_owned(),
            ours: median(&pairs.iter().map(|p| p.0).collect::<Vec<_>>()),
            theirs: median(&pairs.iter().map(|p| p.1).collect::<Vec<_>>()),
            unit,
            ratio: median(&ratios),
            min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            max: ratios.iter().copied().fold(0.0, f64::max),
            pairs: pairs.to_vec(),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { work, peer, ours, theirs, unit, ratio, min, max, .. } = self;
        write!(
            f,
            "{work:<16} {peer:<29} {ours:>9.2} {theirs:>9.2} {unit:<3}  {ratio:.3} ({min:.3} to {max:.3})"
        )
    }
}

#[derive(Serialize)]
pub(super) struct Report {
    schema: &'static str,
    machine: String,
    pub(super) rows: Vec<Row>,
}

impl Report {
    pub(super) fn new() -> Result<Self> {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let cores = std::thread::available_parallelism()?;
        let machine = format!("{}, {cores} cores", model.map_or("unknown processor", |(_, name)| name));
        Ok(Self { schema: "loc.peers/1", machine, rows: Vec::new() })
    }

    pub(super) fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
            return Ok(());
        }
        println!("{}", self.table());
        Ok(())
    }

    fn table(&self) -> String {
        let mut table = "| work | peer | ours | theirs | unit | ours ÷ theirs | min | max |\n".to_owned();
        table += "|---|---|---|---|---|---|---|---|\n";
        for r in &self.rows {
            table += &format!(
                "| `{}` | `{}` | {:.2} | {:.2} | {} | {:.3} | {:.3} | {:.3} |\n",
                r.work, r.peer, r.ours, r.theirs, r.unit, r.ratio, r.min, r.max
            );
        }
        table
    }

    /// Writes the table and the raw data.
    pub(super) fn write_to(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        fs::write(dir.join("peers.json"), serde_json::to_string_pretty(self)? + "\n")?;
        let summary = format!("# Peers\n\n{}, two threads, f32.\n\n{}", self.machine, self.table());
        fs::write(dir.join("summary.md"), summary)?;
        Ok(())
    }
}

/// The median; of an even number of values the mean of the middle two.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (n, half) = (sorted.len(), sorted.len() / 2);
    if n == 0 {
        return f64::NAN;
    }
    if n % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_format_of_docs_formats() {
        let mut report = Report::new().unwrap();
        report.machine = "AMD EPYC, 2 cores".into();
        report.rows.push(Row::new("train_step_32", "pytorch-eager", "ms", &[(10.0, 40.0), (30.0, 40.0)]));
        let json = serde_json::json!({
            "schema": "loc.peers/1",
            "machine": "AMD EPYC, 2 cores",
            "rows": [{
                "work": "train_step_32", "peer": "pytorch-eager", "ours": 20.0, "theirs": 40.0, "unit": "ms",
                "ratio": 0.5, "min": 0.25, "max": 0.75, "pairs": [[10.0, 40.0], [30.0, 40.0]],
            }],
        });
        assert_eq!(serde_json::to_value(&report).unwrap(), json);
    }

    #[test]
    fn the_ratio_of_a_row_is_the_median_of_the_rounds() {
        let row = Row::new("epoch", "x", "s", &[(1.0, 4.0), (3.0, 4.0), (2.0, 4.0), (2.0, 2.0)]);
        assert_eq!((row.ours, row.theirs, row.ratio), (2.0, 4.0, 0.625));
        assert_eq!((row.min, row.max), (0.25, 1.0));
        assert!(median(&[]).is_nan());
    }
}

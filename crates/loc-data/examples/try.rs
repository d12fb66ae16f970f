use std::path::Path;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let t = std::time::Instant::now();
    let o = loc_data::ReadOptions {
        format: a.get(2).filter(|s| s.as_str() != "-").map(|f| f.parse().unwrap()),
        classes: a.get(3).map(|c| c.split(',').map(str::to_owned).collect()),
        ..Default::default()
    };
    match loc_data::Dataset::open_with_warnings(Path::new(&a[1]), &o) {
        Ok((d, w)) => {
            println!("{} samples {:?} {:?}", d.samples.len(), d.classes, t.elapsed());
            println!("{:?}", d.samples[0]);
            for f in w.iter().take(5) {
                println!("{f}");
            }
            println!("{} warnings", w.len());
            println!("{} {:?}", d.digest().unwrap(), t.elapsed());
            println!("{:#?}", loc_data::Stats::of(&d).baseline);
            let t = std::time::Instant::now();
            let r = loc_data::check::check(Path::new(&a[1]), &o).unwrap();
            println!(
                "check {} errors {} warnings {} photos {:?}",
                r.errors(),
                r.warnings(),
                r.photos,
                t.elapsed()
            );
        }
        Err(e) => println!("{e}"),
    }
}

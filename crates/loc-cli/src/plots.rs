//! Plots as SVG: lines, bars and maps of a grid. plotters draws in placeholder colours, which become those of the page's style
//! sheet (light, dark, print) or fixed ones in a file.

use std::ops::Range;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Width and height of a plot, in units of its view box.
const SIZE: (u32, u32) = (360, 230);
/// Room above the axes for the legend.
const LEGEND: u32 = 22;
/// Most points of a line: more cannot be told apart.
const POINTS: usize = 300;
/// A line of at most so many points has a dot at each.
const MARKED: usize = 12;
/// Text and axes.
const INK: RGBColor = RGBColor(1, 2, 3);
/// Grid lines.
const GRID: RGBColor = RGBColor(3, 2, 1);
/// The series.
const SERIES: [RGBColor; 8] = [
    RGBColor(1, 1, 9),
    RGBColor(1, 9, 1),
    RGBColor(9, 1, 1),
    RGBColor(9, 1, 9),
    RGBColor(9, 9, 1),
    RGBColor(1, 9, 9),
    RGBColor(5, 1, 9),
    RGBColor(5, 9, 1),
];

/// Most lines of a plot.
pub(crate) const MOST_SERIES: usize = SERIES.len();

/// A line with its name for the legend.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// The labels of the axes, and their ranges where the values do not decide them.
#[derive(Default)]
pub(crate) struct Axes {
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) x_range: Option<Range<f64>>,
    pub(crate) y_range: Option<Range<f64>>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A plot with axes from numbers to numbers.
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// What differs between the frames of plots.
struct Frame {
    /// Additional space above the axes.
    top: u32,
    /// Whether the grid has vertical lines.
    vertical_lines: bool,
}

/// Draws axes and grid.
fn chart<'a, 'b>(
    area: &Area<'b>,
    axes: &Axes,
    (x, y): (Range<f64>, Range<f64>),
    frame: Frame,
) -> Result<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .margin_top(6 + frame.top)
        .margin_right(14)
        .x_label_area_size(38)
        .y_label_area_size(54)
        .build_cartesian_2d(x, y)?;
    let mut mesh = chart.configure_mesh();
    if !frame.vertical_lines {
        mesh.disable_x_mesh();
    }
    mesh.axis_style(INK.stroke_width(1))
        .bold_line_style(GRID.stroke_width(1))
        .light_line_style(TRANSPARENT)
        .x_labels(6)
        .y_labels(5)
        .x_label_formatter(&|v| number(*v))
        .y_label_formatter(&|v| number(*v))
        .x_desc(axes.x)
        .y_desc(axes.y)
        .label_style(text(12))
        .axis_desc_style(text(12))
        .draw()?;
    Ok(chart)
}

/// Lines over a common axis. Values that are not finite interrupt a line.
pub(crate) fn lines(axes: &Axes, series: &[Series]) -> Result<String> {
    let finite = || series.iter().flat_map(|s| &s.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let x = axes.x_range.clone().unwrap_or_else(|| range(finite().map(|p| p.0), 0.0));
    let y = axes.y_range.clone().unwrap_or_else(|| range(finite().map(|p| p.1), 0.05));
    draw(|area| {
        let top = if series.len() > 1 { LEGEND } else { 0 };
        let mut chart = chart(area, axes, (x, y), Frame { top, vertical_lines: true })?;
        for (series, color) in series.iter().zip(SERIES) {
            let points = thinned(&series.points);
            for part in points.split(|(x, y)| !x.is_finite() || !y.is_finite()) {
                chart.draw_series(LineSeries::new(part.iter().copied(), color.stroke_width(2)))?;
                // Few points are seen as such, and one is no line.
                if part.len() <= MARKED {
                    chart.draw_series(part.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
                }
            }
        }
        legend(area, series)
    })
}

/// Names beside short lines, from the left above the axes.
fn legend(area: &Area<'_>, series: &[Series]) -> Result<()> {
    /// Most letters of a name.
    const LETTERS: usize = 24;
    if series.len() < 2 {
        return Ok(());
    }
    let mut x = 60;
    for (series, color) in series.iter().zip(SERIES) {
        let name: String = series.name.chars().take(LETTERS).collect();
        let width = 6 * i32::try_from(name.chars().count()).unwrap_or(0);
        area.draw(&PathElement::new([(x, 14), (x + 18, 14)], color.stroke_width(2)))?;
        area.draw(&Text::new(name, (x + 23, 14), text(12).pos(Pos::new(HPos::Left, VPos::Center))))?;
        x += 23 + width + 12;
    }
    Ok(())
}

/// Bars over equal parts of a range.
pub(crate) fn bars(axes: &Axes, values: &[f64]) -> Result<String> {
    let x = axes.x_range.clone().unwrap_or(0.0..values.len() as f64);
    let top = values.iter().copied().fold(0.0, f64::max);
    let y = axes.y_range.clone().unwrap_or(0.0..if top > 0.0 { top * 1.05 } else { 1.0 });
    let width = (x.end - x.start) / values.len().max(1) as f64;
    draw(|area| {
        let start = x.start;
        let mut chart = chart(area, axes, (x, y), Frame { top: 0, vertical_lines: false })?;
        let filled = values.iter().enumerate().filter(|(_, value)| **value > 0.0);
        chart.draw_series(filled.map(|(i, value)| {
            let left = start + width * i as f64;
            let corners = [(left + 0.06 * width, 0.0), (left + 0.94 * width, *value)];
            Rectangle::new(corners, SERIES[0].filled())
        }))?;
        Ok(())
    })
}

/// A map of a square grid, row by row from the top left: the larger a value, the darker its cell.
pub(crate) fn map(values: &[f64], columns: usize) -> Result<String> {
    let largest = values.iter().copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let columns = i32::try_from(columns.max(1))?;
    let cell = (i32::try_from(SIZE.1)? - 24) / columns;
    let left = (i32::try_from(SIZE.0)? - cell * columns) / 2;
    draw(|area| {
        for (i, value) in (0..).zip(values) {
            let corner = (left + i % columns * cell, 12 + i / columns * cell);
            let opposite = (corner.0 + cell, corner.1 + cell);
            let shade = SERIES[0].mix(value / largest);
            area.draw(&Rectangle::new([corner, opposite], shade.filled()))?;
        }
        let frame = [(left, 12), (left + cell * columns, 12 + cell * columns)];
        area.draw(&Rectangle::new(frame, INK.stroke_width(1)))?;
        Ok(())
    })
}

/// From the smallest to the largest value, wider by a share at each end.
fn range(values: impl Iterator<Item = f64> + Clone, wider: f64) -> Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    // Of numbers near the largest even the difference is infinite.
    if low > high || !(high - low).is_finite() {
        return 0.0..1.0;
    }
    let margin = match high - low {
        0.0 if low == 0.0 => 0.5,
        0.0 => low.abs() / 2.0,
        width => width * wider,
    };
    low - margin..high + margin
}

/// At most [`POINTS`] of the points, evenly, with the first and the last.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    (0..POINTS).map(|i| points[i * (points.len() - 1) / (POINTS - 1)]).collect()
}

/// A number at an axis: short.
fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size < 1e-12 => "0".into(),
        _ if (1e-3..1e5).contains(&size) => {
            let text = format!("{value:.*}", if size < 0.1 { 4 } else { 3 });
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{value:.1e}").replace(".0e", "e"),
    }
}

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn draw(paint: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        paint(&area)?;
        area.present().map_err(|e| anyhow!("drawing a plot: {e}"))?;
    }
    Ok(svg)
}

/// The plot for a page whose style sheet defines the colours `--grid` and `--series-1` to `--series-8`, with a title and a
/// description for those who do not see it.
pub(crate) fn for_page(svg: &str, title: &str, description: &str) -> String {
    let mut svg = svg.replace(&hex(INK), "currentColor").replace(&hex(GRID), "var(--grid)");
    for (i, color) in SERIES.into_iter().enumerate() {
        svg = svg.replace(&hex(color), &format!("var(--series-{})", i + 1));
    }
    let size = format!("width=\"{}\" height=\"{}\" ", SIZE.0, SIZE.1);
    let head = svg.find('>').map_or(0, |end| end + 1);
    let start = svg[..head].replacen(&size, "", 1).replacen("<svg ", "<svg role=\"img\" ", 1);
    let label = format!("<title>{}</title><desc>{}</desc>", xml(title), xml(description));
    format!("{start}{label}{}", svg[head..].replace('\n', ""))
}

/// The plot as a file of its own: dark ink and colours on white.
pub(crate) fn for_file(svg: &str, title: &str) -> String {
    const FIXED: [&str; 8] =
        ["#1F6FD0", "#D03030", "#269A54", "#B07A00", "#864ED2", "#008A94", "#C23A80", "#586C8A"];
    let mut svg = svg.replace(&hex(INK), "#333333").replace(&hex(GRID), "#DDDDDD");
    for (color, fixed) in SERIES.into_iter().zip(FIXED) {
        svg = svg.replace(&hex(color), fixed);
    }
    let head = svg.find('>').map_or(0, |end| end + 1);
    let ground = "<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>";
    format!("{}<title>{}</title>{ground}{}", &svg[..head], xml(title), &svg[head..])
}

fn hex(color: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2)
}

/// Text inside of XML.
pub(crate) fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(f64, f64)]) -> Series {
        Series { name: "a <b>".into(), points: points.to_vec() }
    }

    #[test]
    fn any_values_become_a_plot() {
        let nan = f64::NAN;
        let cases: &[&[(f64, f64)]] = &[
            &[],
            &[(1.0, 2.0)],
            &[(1.0, 2.0), (2.0, 2.0)],
            &[(1.0, nan), (2.0, nan)],
            &[(1.0, 0.5), (2.0, nan), (3.0, f64::INFINITY), (4.0, 0.1)],
            &[(1.0, -f64::MAX), (2.0, f64::MAX)],
            &[(1.0, 1e-300), (2.0, 1e300)],
            &[(1.0, 0.0), (2.0, 0.0)],
        ];
        for points in cases {
            let svg = lines(&Axes::default(), &[series(points), series(points)]).unwrap();
            let page = for_page(&svg, "<t>", "a & b");
            assert!(page.starts_with("<svg role=\"img\"") && page.ends_with("</svg>"), "{points:?}: {page}");
            assert!(page.contains("<title>&lt;t&gt;</title><desc>a &amp; b</desc>"), "{page}");
            assert!(page.contains("a &lt;b&gt;") && !page.contains("NaN") && !page.contains("inf"), "{page}");
        }
        for values in [&[][..], &[0.0, 0.0], &[1.0, 3.0]] {
            bars(&Axes::default(), values).unwrap();
            map(values, 2).unwrap();
        }
        map(&[1.0], 0).unwrap();
    }

    #[test]
    fn colours_are_those_of_the_page() {
        let svg = bars(&Axes { x: "x", y: "y", ..Axes::default() }, &[1.0]).unwrap();
        let page = for_page(&svg, "", "");
        assert!(page.contains("fill=\"var(--series-1)\"") && page.contains("currentColor"), "{page}");
        assert!(!page.contains("#0"), "no placeholder is left: {page}");
        assert!(!page.contains("style="), "the security policy forbids inline styles: {page}");
    }

    #[test]
    fn a_file_has_its_own_colours_on_white() {
        let svg = bars(&Axes { x: "x", y: "y", ..Axes::default() }, &[1.0]).unwrap();
        let file = for_file(&svg, "a < b");
        assert!(file.starts_with("<svg ") && file.contains("<title>a &lt; b</title>"), "{file}");
        assert!(file.contains("#1F6FD0") && file.contains("#FFFFFF") && !file.contains("#0"), "{file}");
    }

    #[test]
    fn long_lines_are_thinned_and_numbers_are_short() {
        let points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 1.0)).collect();
        let thin = thinned(&points);
        assert_eq!((thin.len(), thin[0].0, thin[POINTS - 1].0), (POINTS, 0.0, 9999.0));
        let shown = [0.0, 0.5, 1.0, 20.0, 0.0015, 1e-5, 123_456.0, -0.25].map(number);
        assert_eq!(shown, ["0", "0.5", "1", "20", "0.0015", "1e-5", "1.2e5", "-0.25"]);
    }
}

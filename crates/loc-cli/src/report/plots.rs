//! Plots as SVG: plotters draws in placeholder colours, which become the page's (light or dark) or fixed ones in a file.

use std::ops::Range;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Width and height of a plot, in units of its view box.
const SIZE: (u32, u32) = (460, 260);
/// Text, axes.
const INK: RGBColor = RGBColor(1, 2, 3);
/// Grid lines.
const GRID: RGBColor = RGBColor(3, 2, 1);
/// The first series, the second, the third.
const SERIES: [RGBColor; 3] = [RGBColor(1, 1, 9), RGBColor(1, 9, 1), RGBColor(9, 1, 1)];

/// Where a plot is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// Inside the page, whose style sheet has the colours.
    Page,
    /// A file of its own, on white.
    File,
}

/// A line with its name for the legend.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// What stands at the axes, and their ranges where the data do not decide them.
pub(super) struct Axes {
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) x_range: Option<Range<f64>>,
    pub(super) y_range: Option<Range<f64>>,
}

/// Lines over a common axis. Values that are not finite interrupt a line.
pub(super) fn lines(axes: &Axes, series: &[Series]) -> Result<String> {
    let finite = || series.iter().flat_map(|s| &s.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let range = |of: fn(&(f64, f64)) -> f64| {
        let low = finite().map(of).fold(f64::INFINITY, f64::min);
        let high = finite().map(of).fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            0.0..1.0
        } else if low == high {
            low - 0.5..high + 0.5
        } else {
            low..high
        }
    };
    let x = axes.x_range.clone().unwrap_or_else(|| range(|p| p.0));
    let y = axes.y_range.clone().unwrap_or_else(|| range(|p| p.1));
    draw(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(46)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .axis_style(INK.stroke_width(1))
            .bold_line_style(GRID.stroke_width(1))
            .light_line_style(TRANSPARENT)
            .x_labels(6)
            .y_labels(6)
            .x_desc(axes.x)
            .y_desc(axes.y)
            .label_style(text(12))
            .axis_desc_style(text(12))
            .draw()?;
        for (series, color) in series.iter().zip(SERIES) {
            for part in series.points.split(|(x, y)| !x.is_finite() || !y.is_finite()) {
                chart.draw_series(LineSeries::new(part.iter().copied(), color.stroke_width(2)))?;
            }
        }
        legend(area, series)
    })
}

/// Names beside short lines, above the plot's right corner.
fn legend(area: &Area<'_>, series: &[Series]) -> Result<()> {
    if series.len() < 2 {
        return Ok(());
    }
    for (i, (series, color)) in series.iter().zip(SERIES).enumerate() {
        let y = 16 + 16 * i as i32;
        let right = SIZE.0 as i32 - 14;
        area.draw(&PathElement::new([(right - 20, y), (right, y)], color.stroke_width(2)))?;
        let style = text(12).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(series.name, (right - 26, y), style))?;
    }
    Ok(())
}

/// Bars over equal parts of a range.
pub(super) fn bars(axes: &Axes, values: &[f64]) -> Result<String> {
    let x = axes.x_range.clone().unwrap_or(0.0..values.len() as f64);
    let top = values.iter().copied().fold(0.0, f64::max);
    let y = axes.y_range.clone().unwrap_or(0.0..if top > 0.0 { top * 1.05 } else { 1.0 });
    let width = (x.end - x.start) / values.len().max(1) as f64;
    draw(|area| {
        let start = x.start;
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(46)
            .build_cartesian_2d(x.clone(), y.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .axis_style(INK.stroke_width(1))
            .bold_line_style(GRID.stroke_width(1))
            .light_line_style(TRANSPARENT)
            .x_desc(axes.x)
            .y_desc(axes.y)
            .label_style(text(12))
            .axis_desc_style(text(12))
            .draw()?;
        chart.draw_series(values.iter().enumerate().map(|(i, value)| {
            let left = start + width * i as f64;
            Rectangle::new([(left + 0.08 * width, 0.0), (left + 0.92 * width, *value)], SERIES[0].filled())
        }))?;
        Ok(())
    })
}

/// A square map of shares, row by row from the top left, 0..1 of its largest.
pub(super) fn heat(values: &[f64], columns: usize) -> Result<String> {
    let largest = values.iter().copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let side = SIZE.1 as i32 - 40;
    let cell = side / columns as i32;
    draw(|area| {
        let left = (SIZE.0 as i32 - cell * columns as i32) / 2;
        for (i, value) in values.iter().enumerate() {
            let (row, column) = ((i / columns) as i32, (i % columns) as i32);
            let corner = (left + column * cell, 16 + row * cell);
            let opposite = (corner.0 + cell - 1, corner.1 + cell - 1);
            let share = value / largest;
            area.draw(&Rectangle::new([corner, opposite], SERIES[0].mix(0.04 + 0.96 * share).filled()))?;
        }
        let frame = [(left - 1, 15), (left + cell * columns as i32, 16 + cell * columns as i32)];
        area.draw(&Rectangle::new(frame, INK.stroke_width(1)))?;
        Ok(())
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

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

/// The plot with the colours of its medium, a title and a description for those who do not see it.
pub(super) fn finish(svg: &str, medium: Medium, title: &str, description: &str) -> String {
    let hex = |c: RGBColor| format!("#{:02X}{:02X}{:02X}", c.0, c.1, c.2);
    let places = [INK, GRID, SERIES[0], SERIES[1], SERIES[2]];
    let colors = match medium {
        Medium::Page => ["currentColor", "var(--grid)", "var(--first)", "var(--second)", "var(--third)"],
        Medium::File => ["#1f2328", "#d8dee4", "#1e79db", "#d1701f", "#269a54"],
    };
    let mut svg = svg.to_owned();
    for (place, color) in places.into_iter().zip(colors) {
        svg = svg.replace(&hex(place), color);
    }
    let label = format!("<title>{}</title><desc>{}</desc>", escape(title), escape(description));
    let head = svg.find('>').map_or(0, |end| end + 1);
    let size = format!("width=\"{}\" height=\"{}\" ", SIZE.0, SIZE.1);
    let mut start = svg[..head].replacen(&size, "", 1).replacen("<svg ", "<svg role=\"img\" ", 1);
    if medium == Medium::File {
        start += "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>";
    }
    format!("{start}{label}{}", &svg[head..])
}

/// Text inside of XML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

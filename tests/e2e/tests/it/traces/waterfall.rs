//! A picture of a trace, for people: what a tracing page shows of it. It is saved beside the other build output, as screenshots are;
//! docs/images/trace.svg was made from one.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use shop_testing::otlp::Span;

const ROW: u64 = 20;
const TOP: u64 = 46;
const LABELS: u64 = 400;
const BARS: u64 = 680;

/// A colour for each service, that can be told apart on white and on black.
const COLOURS: [&str; 7] = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#9d755d", "#72b7b2"];

/// Draws one trace and saves it as `name`.svg.
pub(super) fn picture(spans: &[&Span], name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("traces");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.svg")), svg(spans)).unwrap();
}

fn svg(spans: &[&Span]) -> String {
    let rows = in_tree_order(spans);
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    let services: Vec<&str> = services.into_iter().collect();
    let began = spans.iter().map(|span| span.began).min().unwrap_or_default();
    let ended = spans.iter().map(|span| span.ended).max().unwrap_or_default();
    let length = (ended - began).max(1);
    let place = |time: u64| LABELS + (time - began) * BARS / length;
    let (width, height) = (LABELS + BARS + 90, TOP + ROW * rows.len() as u64 + 14);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>The spans of one order</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (place, service) in services.iter().enumerate() {
        let (x, colour) = (14 + 165 * place, COLOURS[place % COLOURS.len()]);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"12\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"21\">{service}</text>",
            x + 15
        );
    }
    for (row, (depth, span)) in rows.iter().enumerate() {
        let y = TOP + ROW * row as u64;
        let colour = services.iter().position(|service| *service == span.service).unwrap_or_default();
        let (from, to) = (place(span.began), place(span.ended).max(place(span.began) + 2));
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\">{}</text><rect x=\"{from}\" y=\"{y}\" width=\"{}\" height=\"14\" rx=\"2\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"#666666\" font-size=\"10\">{:.1} ms</text>",
            14 + 9 * depth,
            y + 11,
            escaped(&span.name),
            to - from,
            COLOURS[colour % COLOURS.len()],
            to + 5,
            y + 11,
            (span.ended - span.began) as f64 / 1e6,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Each span below its parent, siblings by their beginning, with their depth.
fn in_tree_order<'s>(spans: &[&'s Span]) -> Vec<(usize, &'s Span)> {
    fn add<'s>(spans: &[&'s Span], parent: Option<&str>, depth: usize, rows: &mut Vec<(usize, &'s Span)>) {
        let mut children: Vec<&Span> =
            spans.iter().copied().filter(|span| span.parent_span_id.as_deref() == parent).collect();
        children.sort_by_key(|span| span.began);
        for child in children {
            rows.push((depth, child));
            add(spans, Some(&child.span_id), depth + 1, rows);
        }
    }
    let mut rows = Vec::new();
    add(spans, None, 0, &mut rows);
    rows
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

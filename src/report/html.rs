//! `report.html`: the whole run in one file that asks for nothing else, now or in ten years.
//!
//! Everything is there before a script runs: texts and tables come from templates that escape what they
//! print (`sections`), and a figure without its script is a plain picture (`picture`). The script only draws:
//! it is handed columns of numbers (`charts`), already thinned. The live page is the same page; its server
//! sends sections and columns again, second by second.

mod charts;
mod classes;
mod picture;
mod policy;
mod sections;
mod series;
mod timings;

use askama::Template;

use super::result::RunResult;
use super::words::visible;

pub use charts::Charts;
pub use sections::Sections;
pub use series::{Series, width_for};
pub use timings::Timings;

/// uPlot, as its authors publish it: `vendor/uPlot.LICENSE`.
const UPLOT_JS: &str = include_str!("html/vendor/uPlot.iife.min.js");
const UPLOT_CSS: &str = include_str!("html/vendor/uPlot.min.css");
const PAGE_JS: &str = include_str!("html/page.js");
const PAGE_CSS: &str = include_str!("html/page.css");

/// What a live page needs beside the run so far.
#[derive(Debug, Clone, Copy)]
pub struct Live {
    /// Whether it has buttons; they need a token, too.
    pub control: bool,
}

/// The report of a finished run.
pub fn html(result: &RunResult) -> String {
    let timings = Timings::of_result(result);
    page(result, &Sections::of(result, &timings), &Charts::of(result, &timings), None)
}

/// The page around sections and charts; `live` if it goes on.
pub fn page(result: &RunResult, sections: &Sections, charts: &Charts, live: Option<Live>) -> String {
    let page = Page {
        title: format!("{} {} – fleetsim", sections.word, visible(&result.scenario.name)),
        policy: policy::of(&[UPLOT_JS, PAGE_JS], &[UPLOT_CSS, PAGE_CSS], live.is_some()),
        styles: [UPLOT_CSS, PAGE_CSS],
        scripts: [UPLOT_JS, PAGE_JS],
        picture: picture::latency(charts),
        data: for_script(charts),
        thinned: charts.series.words(),
        sections,
        live,
    };
    page.render().expect("the template writes to a String and calls nothing that fails")
}

/// JSON that cannot end the script element it stands in.
fn for_script(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).expect("columns of numbers and texts are JSON");
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    title: String,
    policy: String,
    styles: [&'static str; 2],
    scripts: [&'static str; 2],
    picture: String,
    data: String,
    thinned: Option<String>,
    sections: &'a Sections,
    live: Option<Live>,
}

#[cfg(test)]
mod tests;

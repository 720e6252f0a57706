//! How a run stands to its baseline, for the outputs that CI systems show.
//!
//! `compare` decides and spells it; here is what `junit` and `markdown` need of it. The result itself keeps to what the
//! run alone has shown, as its file is made before and compared again later.

use super::compare::{Comparison, comparison_text};

/// A comparison in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// None: the runs could not be compared.
    pub passed: Option<bool>,
    /// What it comes to, in one line.
    pub words: String,
    /// All of it, in lines.
    pub text: String,
}

impl Against {
    /// Of runs that were compared.
    pub fn of(comparison: &Comparison) -> Self {
        let text = comparison_text(comparison);
        let words = text.trim_end().lines().last().unwrap_or_default().trim().to_owned();
        Self { passed: Some(!comparison.has_regressed()), words, text }
    }

    /// Of runs that were not, and why.
    pub fn refused(objections: &[String]) -> Self {
        let words =
            if objections.is_empty() { "there is no result".to_owned() } else { objections.join("; ") };
        let words = format!("not compared with the baseline: {words}");
        Self { passed: None, text: words.clone(), words }
    }
}

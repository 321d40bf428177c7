//! What was measured, as a table and as JSON.
#![allow(clippy::print_stdout, reason = "the table is what a benchmark is run for")]

use std::fs::DirBuilder;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::thread::available_parallelism;

use serde_json::Value;
use serde_json::json;

use crate::stage::trouble::Trouble;

/// What a number is held against.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    /// It shall not be larger.
    AtMost(f64),
    /// It shall not be smaller.
    AtLeast(f64),
    /// It only explains another.
    None,
}

impl Bar {
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtMost(bar) => Some(value <= bar),
            Self::AtLeast(bar) => Some(value >= bar),
            Self::None => None,
        }
    }
}

/// Everything that was measured in one run.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    benchmark: &'static str,
    what: String,
    value: f64,
    unit: &'static str,
    bar: Bar,
}

impl Report {
    /// Adds a number and prints it.
    pub(crate) fn add(
        &mut self,
        benchmark: &'static str,
        what: impl Into<String>,
        (value, unit): (f64, &'static str),
        bar: Bar,
    ) {
        let row = Row { benchmark, what: what.into(), value, unit, bar };
        println!("{}", row.line());
        self.rows.push(row);
    }

    /// Says why something was not measured.
    pub(crate) fn skip(&self, benchmark: &'static str, why: &str) {
        println!("{benchmark:<12} skipped: {why}");
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), Trouble> {
        let failed = || Trouble::system("cannot write the report");
        let rows = self.rows.iter().map(Row::json).collect::<Vec<_>>();
        let cores = available_parallelism().map_or(0, usize::from);
        let report = json!({ "cores": cores, "rows": rows });
        DirBuilder::new().recursive(true).create(directory).map_err(failed())?;
        let path = directory.join("results.json");
        let mut file = File::create(&path).map_err(failed())?;
        writeln!(file, "{report:#}").map_err(failed())?;
        println!("\nThe same as JSON: {}", path.display());
        let missed = self.rows.iter().filter(|row| row.bar.is_met(row.value) == Some(false));
        println!("Bars missed: {}", missed.count());
        Ok(())
    }
}

/// The first line of the table.
pub(crate) fn print_head() {
    println!("{:<12} {:<58} {:>12} {:<5} {:>12}", "benchmark", "what", "value", "unit", "bar");
}

impl Row {
    fn line(&self) -> String {
        let bar = match self.bar {
            Bar::AtMost(bar) => format!("<= {}", number(bar)),
            Bar::AtLeast(bar) => format!(">= {}", number(bar)),
            Bar::None => String::new(),
        };
        let verdict = match self.bar.is_met(self.value) {
            Some(false) => "MISSED",
            Some(true) => "met",
            None => "",
        };
        let (benchmark, what, unit) = (self.benchmark, &self.what, self.unit);
        let value = number(self.value);
        let line = format!("{benchmark:<12} {what:<58} {value:>12} {unit:<5} {bar:>12} {verdict}");
        line.trim_end().to_owned()
    }

    fn json(&self) -> Value {
        let (at_most, at_least) = match self.bar {
            Bar::AtMost(bar) => (Some(bar), None),
            Bar::AtLeast(bar) => (None, Some(bar)),
            Bar::None => (None, None),
        };
        json!({
            "benchmark": self.benchmark,
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "at_most": at_most,
            "at_least": at_least,
            "met": self.bar.is_met(self.value),
        })
    }
}

fn number(value: f64) -> String {
    if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

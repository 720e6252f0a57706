//! Whether the classes add up: every due execution in exactly one class, every start ended.
//!
//! A run whose classes do not is a bug of ours (exit 70). What the run then does is `run`'s business.

use crate::stats::{Class, Counts, Part, Snapshot};
use crate::units::human_count;

/// Checks the accounting of a run that is over, cell by cell.
///
/// # Errors
/// The first cell that does not add up: its part, workload and group, and both figures.
pub fn totals_add_up(snapshot: &Snapshot) -> Result<(), String> {
    for (w, workload) in snapshot.shape.workloads.iter().enumerate() {
        for (g, group) in snapshot.shape.groups.iter().enumerate() {
            for (part, name) in [(Part::Measured, "measured"), (Part::WarmUp, "warm-up")] {
                cell_adds_up(snapshot.totals.counts(part, w, g)).map_err(|mismatch| {
                    format!("{name} executions of workload {workload} in group {group}: {mismatch}")
                })?;
            }
        }
    }
    Ok(())
}

fn cell_adds_up(counts: &Counts) -> Result<(), String> {
    let started: u64 = Class::ALL.into_iter().filter(|c| c.is_started()).map(|c| counts.class(c)).sum();
    let by_error: u64 = counts.refused.values().sum();
    for (what, figure, sum_of, sum) in [
        ("due", counts.due, "in all classes", counts.decided()),
        ("started", counts.started, "in the classes of started ones", started),
        ("refused", counts.class(Class::Refused), "by error", by_error),
    ] {
        if figure != sum {
            return Err(format!("{} {what}, but {} {sum_of}", human_count(figure), human_count(sum)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::report::sample;

    #[test]
    fn a_run_without_gaps_adds_up() {
        assert_eq!(totals_add_up(&sample::done()), Ok(()));
    }

    #[test]
    fn a_gap_is_named_with_its_cell_and_figures() {
        for (part, change, message) in [
            (
                Part::Measured,
                (|counts| counts.due += 1) as fn(&mut Counts),
                "measured executions of workload reboot in group fast: 2 621 due, but 2 620 in all classes",
            ),
            (
                Part::WarmUp,
                |counts| counts.started += 1,
                "warm-up executions of workload reboot in group fast: 101 started, but 100 in the classes of started ones",
            ),
            (
                Part::Measured,
                |counts| counts.refused.clear(),
                "measured executions of workload reboot in group fast: 12 refused, but 0 by error",
            ),
        ] {
            let mut snapshot = sample::done();
            change(Arc::make_mut(&mut snapshot.totals).counts_mut(part, 0, 0));
            assert_eq!(totals_add_up(&snapshot), Err(message.to_owned()));
        }
    }
}

//! The folded parts of the page.

use super::text::{MOST_ROWS, code, folded, plain, put};
use super::{class, micros};
use crate::report::result::{CapacityResult, RolloutResult, RunResult};
use crate::report::words::{self, SEPARATOR, share};
use crate::stats::Class;
use crate::units::{human_count, human_micros};

/// Those that have something to say, in the order in which somebody asks.
pub(super) fn all(result: &RunResult) -> Vec<String> {
    let mut sections = Vec::new();
    sections.extend(result.rollouts.iter().map(|(workload, rollout)| self::rollout(workload, rollout)));
    sections.extend(result.capacity.as_ref().map(capacity));
    if !result.ledger.anomalies.is_empty() {
        sections.push(anomalies(result));
    }
    sections.push(groups(result));
    sections.push(generator(result));
    if !result.events.is_empty() {
        sections.push(events(result));
    }
    sections.push(folded(
        "Scenario, with every default",
        &code("yaml", &crate::scenario::yaml_text(&result.scenario.resolved)),
    ));
    sections
}

/// A table of some rows; the first columns are text, the others figures.
fn table(head: &[&str], texts: usize, rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut table = line(head.to_vec());
    table += &line((0..head.len()).map(|n| if n < texts { "---" } else { "--:" }).collect());
    for row in rows.iter().take(MOST_ROWS) {
        table += &line(row.iter().map(String::as_str).collect());
    }
    if rows.len() > MOST_ROWS {
        let more = human_count((rows.len() - MOST_ROWS) as u64);
        put(&mut table, format_args!("\nand {more} more, which `result.json` lists\n"));
    }
    table
}

fn rollout(workload: &str, rollout: &RolloutResult) -> String {
    let rows: Vec<_> = rollout
        .batches
        .iter()
        .map(|batch| {
            let counts = &batch.counts;
            let name = if batch.name.is_empty() { "all" } else { &batch.name };
            vec![
                plain(name),
                plain(&batch.state),
                human_count(batch.devices),
                human_count(counts.notified),
                human_count(counts.devices_succeeded),
                human_count(counts.failed),
                human_count(counts.rejected),
                human_count(counts.timed_out),
                human_count(counts.retries),
            ]
        })
        .collect();
    let head =
        ["Batch", "State", "Devices", "Told", "Succeeded", "Failed", "Rejected", "Timed out", "Retries"];
    let mut content = table(&head, 2, &rows);
    if let Some(reason) = &rollout.reason {
        put(&mut content, format_args!("\n{}\n", plain(reason)));
    }
    if !rollout.stuck_devices.is_empty() {
        let rows: Vec<_> = rollout
            .stuck_devices
            .iter()
            .map(|device| vec![plain(&device.device), plain(&device.last), human_count(device.attempts)])
            .collect();
        put(&mut content, format_args!("\n{} devices have not succeeded:\n\n", human_count(rollout.stuck)));
        content += &table(&["Device", "Last", "Attempts"], 2, &rows);
    }
    folded(&format!("Rollout of {workload}: {}", rollout.state), &content)
}

fn capacity(capacity: &CapacityResult) -> String {
    let rows: Vec<_> = capacity
        .steps
        .iter()
        .map(|step| {
            vec![
                plain(&step.outcome),
                plain(step.reason.as_deref().unwrap_or_default()),
                format!("{:.1}/s", step.rate_per_s),
                format!("{:.1}/s", step.achieved_per_s),
                words::span(step.latency_us.p50),
                words::span(step.latency_us.p99),
            ]
        })
        .collect();
    let head = ["Step", "", "Asked", "Succeeded", "p50", "p99"];
    folded(&format!("Capacity of {}", capacity.workload), &table(&head, 2, &rows))
}

fn anomalies(result: &RunResult) -> String {
    let rows: Vec<_> = result
        .ledger
        .anomalies
        .iter()
        .map(|anomaly| {
            vec![
                plain(&anomaly.finding),
                plain(if anomaly.explained { "explained" } else { "unexplained" }),
                plain(&anomaly.device),
                plain(&anomaly.workload),
                plain(anomaly.execution_id.as_deref().unwrap_or("–")),
                plain(&anomaly.last_seen),
                human_micros(anomaly.planned_us),
            ]
        })
        .collect();
    let head = ["Found", "", "Device", "Workload", "Execution", "Last seen", "Planned at"];
    folded("Anomalies", &table(&head, 6, &rows))
}

fn groups(result: &RunResult) -> String {
    let rows: Vec<_> = result
        .groups
        .iter()
        .map(|(name, group)| {
            let measured = &group.totals.measured;
            let succeeded = class(measured, Class::Succeeded);
            vec![
                plain(name),
                human_count(group.devices),
                human_count(group.online),
                human_count(group.reconnects),
                human_count(measured.due),
                human_count(succeeded),
                share(succeeded, measured.due),
            ]
        })
        .collect();
    let head = ["Group", "Devices", "Online at the end", "Reconnects", "Due", "Succeeded", ""];
    folded("Groups", &table(&head, 1, &rows))
}

fn generator(result: &RunResult) -> String {
    let generator = &result.generator;
    let mut parts = vec![
        format!("schedule lag p99 {}", words::span(generator.schedule_lag_us_p99)),
        format!("device lag p99 {}", words::span(generator.device_lag_us_p99)),
        format!("limit {}", human_micros(generator.max_lag_us)),
        format!("{} unsent", human_count(generator.unsent)),
    ];
    if let Some(cpu) = &generator.cpu {
        parts.push(format!("CPU {}", words::cpu(cpu.generator)));
    }
    for (queue, count) in &generator.dropped {
        parts.push(format!("{}: {} dropped", plain(queue), human_count(*count)));
    }
    let environment = &result.environment;
    let content = format!(
        "{}\n\n{} with {} processors, fleetsim {}, {}, took {} of real time",
        parts.join(SEPARATOR),
        plain(&environment.os),
        environment.cpus,
        plain(&result.tool.version),
        plain(&result.run.wall_clock.start),
        human_micros(micros(result.run.wall_clock.duration_s)),
    );
    let title = if generator.valid { "Generator: measurements valid" } else { "Generator: not valid" };
    folded(title, &content)
}

fn events(result: &RunResult) -> String {
    let rows: Vec<_> = result
        .events
        .iter()
        .map(|event| {
            vec![
                words::position(std::time::Duration::from_micros(event.at_us)),
                plain(&words::printable(&event.text)),
            ]
        })
        .collect();
    folded("Events", &table(&["At", "What"], 2, &rows))
}

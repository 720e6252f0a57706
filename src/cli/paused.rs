//! `--paused`: a run whose load waits for somebody, who has to be able to let it go on.

use std::sync::Arc;

use crate::control::Tempo;
use crate::scenario::{Load, Scenario};

/// How a run begins.
pub(super) fn tempo(paused: bool) -> Tempo {
    Tempo { paused, ..Tempo::PLANNED }
}

/// Why these runs cannot begin paused; `can_be_resumed` is whether somebody at a screen or a page could.
pub(super) fn refusal(
    scenarios: &[Arc<Scenario>],
    virtual_time: bool,
    can_be_resumed: bool,
) -> Option<String> {
    if virtual_time {
        return Some(
            "--paused waits for somebody, and virtual time waits for nobody: leave out one of them"
                .to_owned(),
        );
    }
    let searches = |scenario: &&Arc<Scenario>| {
        scenario.workloads.iter().any(|workload| matches!(workload.load, Load::Capacity(_)))
    };
    if let Some(scenario) = scenarios.iter().find(searches) {
        let name = &scenario.name;
        return Some(format!(
            "{name}: a capacity search sets its own rate and does not wait: leave out --paused"
        ));
    }
    (!can_be_resumed).then(|| {
        "--paused: nobody could resume this run, because it has no screen and no page that may: run it in a \
         terminal (or with --tui on), serve a page that may (--web --web-control), or leave out --paused"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Variables, parse};

    fn scenario(load: &str) -> Arc<Scenario> {
        let text = format!(
            "version: 1\nname: s\ngroups: {{ g: {{ count: 1000, behavior: {{ delay: 1ms }} }} }}\n\
             workloads: {{ w: {{ command: {{ name: c }}, load: {load} }} }}\n"
        );
        Arc::new(parse("s", &text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}")))
    }

    #[test]
    fn a_run_begins_paused_only_where_somebody_can_resume_it() {
        let plain = scenario("{ once: { within: 1s } }");
        let search = scenario("{ capacity: { from: 1/s, to: 9/s, pass: [\"p99(latency) < 1s\"] } }");
        for (scenarios, virtual_time, can_be_resumed, remedy) in [
            (vec![plain.clone()], false, true, None),
            (vec![plain.clone()], false, false, Some("--tui on")),
            (vec![plain.clone()], false, false, Some("--web --web-control")),
            (vec![plain.clone()], true, true, Some("leave out one")),
            (vec![plain, search], false, true, Some("sets its own rate")),
        ] {
            let refusal = refusal(&scenarios, virtual_time, can_be_resumed);
            assert_eq!(refusal.is_some(), remedy.is_some(), "{refusal:?}");
            assert!(refusal.unwrap_or_default().contains(remedy.unwrap_or_default()));
        }
    }
}

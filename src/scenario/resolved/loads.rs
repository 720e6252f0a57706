//! Loads as a scenario spells them.

use serde_json::{Map, Value, json};

use super::super::{
    ArrivalRate, Batch, BatchSize, Capacity, Concurrency, IncreaseAfter, Load, Once, Rollout, Spacing, Stage,
    spelling,
};

pub(super) fn load(load: &Load) -> Value {
    match load {
        Load::ArrivalRate(arrivals) => json!({ "arrival_rate": arrival_rate(arrivals) }),
        Load::Once(once) => json!({ "once": self::once(once) }),
        Load::Concurrency(load) => json!({ "concurrency": concurrency(load) }),
        Load::Rollout(load) => json!({ "rollout": rollout(load) }),
        Load::Capacity(capacity) => json!({ "capacity": self::capacity(capacity) }),
    }
}

fn arrival_rate(arrivals: &ArrivalRate) -> Value {
    let spacing = match arrivals.spacing {
        Spacing::Poisson => "poisson",
        Spacing::Even => "even",
    };
    json!({ "spacing": spacing, "stages": arrivals.stages.iter().map(stage).collect::<Vec<_>>() })
}

fn capacity(capacity: &Capacity) -> Value {
    let spacing = match capacity.spacing {
        Spacing::Poisson => "poisson",
        Spacing::Even => "even",
    };
    json!({
        "from": spelling::rate(capacity.from),
        "to": spelling::rate(capacity.to),
        "step": capacity.step,
        "hold": spelling::duration(capacity.hold),
        "settle": spelling::duration(capacity.settle),
        "precision": spelling::share(capacity.precision),
        "spacing": spacing,
        "pass": capacity.pass.iter().map(|pass| json!(pass.text)).collect::<Vec<_>>(),
    })
}

fn stage(stage: &Stage) -> Value {
    let mut all = Map::new();
    if let Some(name) = &stage.name {
        all.insert("name".to_owned(), json!(name));
    }
    all.insert("rate".to_owned(), json!(spelling::rate(stage.from)));
    all.insert("ramp_to".to_owned(), json!(spelling::rate(stage.to)));
    all.insert("duration".to_owned(), json!(spelling::duration(stage.duration)));
    all.insert("warm_up".to_owned(), json!(stage.warm_up));
    Value::Object(all)
}

fn once(once: &Once) -> Value {
    json!({ "devices": spelling::share(once.devices), "within": spelling::duration(once.within) })
}

fn concurrency(load: &Concurrency) -> Value {
    let stages = load.levels.iter().map(|level| {
        json!({
            "in_flight": level.from,
            "ramp_to": level.to,
            "duration": spelling::duration(level.duration),
        })
    });
    let mut all = Map::new();
    all.insert("stages".to_owned(), stages.collect());
    if let Some(think) = &load.think_time {
        all.insert("think_time".to_owned(), spelling::delay(think));
    }
    Value::Object(all)
}

fn rollout(load: &Rollout) -> Value {
    let mut all = Map::new();
    all.insert("base_rate".to_owned(), json!(spelling::rate(load.base_rate)));
    if let Some(growth) = &load.growth {
        all.insert("max_rate".to_owned(), json!(spelling::rate(growth.max_rate)));
        all.insert("increment_factor".to_owned(), json!(growth.factor));
        let after = match growth.after {
            IncreaseAfter::Notified(count) => json!({ "notified": count }),
            IncreaseAfter::Succeeded(count) => json!({ "succeeded": count }),
        };
        all.insert("increase_after".to_owned(), after);
    }
    if !load.batches.is_empty() {
        all.insert("batches".to_owned(), load.batches.iter().map(batch).collect());
    }
    let rules = load.abort_when.iter().map(|rule| {
        json!({
            "status": rule.status.name(),
            "over": spelling::share(rule.over),
            "min_executed": rule.min_executed,
        })
    });
    all.insert("abort_when".to_owned(), rules.collect());
    all.insert("retry".to_owned(), json!({ "failed": load.retry.failed, "timed_out": load.retry.timed_out }));
    if let Some(after) = load.give_up_after {
        all.insert("give_up_after".to_owned(), json!(spelling::duration(after)));
    }
    Value::Object(all)
}

fn batch(batch: &Batch) -> Value {
    let mut all = Map::new();
    all.insert("name".to_owned(), json!(batch.name));
    match batch.devices {
        BatchSize::Count(count) => {
            all.insert("devices".to_owned(), json!(count));
        }
        BatchSize::Share(share) => {
            all.insert("devices".to_owned(), json!(spelling::share(share)));
        }
        BatchSize::Rest => {}
    }
    all.insert("success_threshold".to_owned(), json!(spelling::share(batch.success_threshold)));
    if let Some(limit) = batch.error_threshold {
        all.insert("error_threshold".to_owned(), json!(spelling::share(limit)));
    }
    all.insert("soak".to_owned(), json!(spelling::duration(batch.soak)));
    Value::Object(all)
}

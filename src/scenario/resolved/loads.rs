//! Loads as a scenario spells them.

use serde_json::{Map, Value, json};

use super::super::{ArrivalRate, Load, Once, Spacing, Stage, spelling};

pub(super) fn load(load: &Load) -> Value {
    match load {
        Load::ArrivalRate(arrivals) => json!({ "arrival_rate": arrival_rate(arrivals) }),
        Load::Once(once) => json!({ "once": self::once(once) }),
    }
}

fn arrival_rate(arrivals: &ArrivalRate) -> Value {
    let spacing = match arrivals.spacing {
        Spacing::Poisson => "poisson",
        Spacing::Even => "even",
    };
    json!({ "spacing": spacing, "stages": arrivals.stages.iter().map(stage).collect::<Vec<_>>() })
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

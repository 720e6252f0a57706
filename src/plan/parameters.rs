//! The parameters that an execution is started with.

use crate::protocol::{ParameterValue, Parameters};
use crate::scenario::Values;
use crate::seed::{Purpose, Seed, Subject};

use super::Plan;

impl Plan {
    /// The parameters of the `number`-th execution of a workload; `None` if its command has none.
    pub fn parameters(&self, workload: u16, number: u64) -> Option<Parameters> {
        let workload = &self.scenario.workloads[usize::from(workload)];
        let parameters = &workload.command.parameters;
        if parameters.is_empty() {
            return None;
        }
        let value = |name: &str, values: &Values| {
            // Each parameter has draws of its own: a new one changes none of the others.
            let subject = Subject::new(&format!("{}.{name}", workload.name), 0);
            choose(values, self.seed, subject, number)
        };
        Some(parameters.iter().map(|p| (p.name.clone(), value(&p.name, &p.values))).collect())
    }
}

fn choose(values: &Values, seed: Seed, subject: Subject, number: u64) -> ParameterValue {
    match values {
        Values::One(value) => value.clone(),
        Values::Each(values) => {
            let place = usize::try_from(number % values.len() as u64).unwrap_or(0);
            values[place].clone()
        }
        Values::Whole(from, to) => {
            // Of all 2^64 numbers each draw is one.
            let size = to.wrapping_sub(*from).cast_unsigned().wrapping_add(1);
            let mut draw = seed.at(Purpose::Parameter, subject, number);
            let above = if size == 0 { draw.bits() } else { draw.below(size) };
            let value = from.wrapping_add(above.cast_signed());
            let fits = i32::try_from(*from).is_ok() && i32::try_from(*to).is_ok();
            match i32::try_from(value) {
                Ok(small) if fits => ParameterValue::I(small),
                _ => ParameterValue::L(value),
            }
        }
        Values::Decimal(from, to) => {
            let unit = seed.at(Purpose::Parameter, subject, number).unit();
            ParameterValue::D((to - from).mul_add(unit, *from).clamp(*from, *to))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &Values, number: u64) -> ParameterValue {
        choose(values, Seed(7), Subject::new("w.p", 0), number)
    }

    #[test]
    fn each_goes_round_and_a_range_stays_within_its_bounds() {
        let each = Values::Each(vec![ParameterValue::I(1), ParameterValue::I(2)]);
        assert_eq!([0, 1, 2].map(|n| drawn(&each, n)), [1, 2, 1].map(ParameterValue::I));

        let mut seen = std::collections::BTreeSet::new();
        for n in 0..500 {
            let ParameterValue::I(value) = drawn(&Values::Whole(-2, 2), n) else {
                panic!("32 bits are enough")
            };
            seen.insert(value);
            let ParameterValue::D(value) = drawn(&Values::Decimal(0.5, 0.75), n) else { panic!("a double") };
            assert!((0.5..=0.75).contains(&value), "{value}");
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
        assert_eq!(drawn(&Values::Whole(3, 3), 9), ParameterValue::I(3));
        assert!(matches!(drawn(&Values::Whole(i64::MIN, i64::MAX), 1), ParameterValue::L(_)));
        assert_eq!(drawn(&Values::Whole(0, 1 << 40), 5), drawn(&Values::Whole(0, 1 << 40), 5));
    }
}

use super::*;
use crate::seed::{Purpose, Seed, Subject};

const COUNT: usize = 100_000;

/// 100,000 delays in ascending order.
fn samples(delay: &Delay) -> Vec<u64> {
    let subject = Subject::new("dist", 0);
    let drawn = (0..COUNT as u64).map(|n| delay.sample_us(&mut Seed(5).at(Purpose::Decision, subject, n)));
    let mut all: Vec<u64> = drawn.collect();
    all.sort_unstable();
    all
}

/// The sampled p50 and p99 are those of the distribution, whose quantile function is `quantile_us`.
///
/// The quantile at q of n samples lies, in q, within a standard error of √(q(1−q)/n) of q: 0.0016 at the
/// median and 0.00031 at p99 here. Four of them to either side pass all but 6 in 100,000 seeds, and one more
/// microsecond is what rounding to whole ones can shift.
fn check(delay: &Delay, quantile_us: impl Fn(f64) -> f64) {
    let all = samples(delay);
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    for q in [0.5, 0.9, 0.99] {
        let error = 4.0 * (q * (1.0 - q) / COUNT as f64).sqrt();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the samples")]
        let sampled = all[(q * COUNT as f64) as usize] as f64;
        let (low, high) = (quantile_us(q - error) - 1.0, quantile_us(q + error) + 1.0);
        assert!((low..=high).contains(&sampled), "{delay:?}: p{} {sampled} not in {low}..{high}", q * 100.0);
    }
    // The mean of n samples lies within a standard error of sd/√n, told from the samples themselves.
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let (mean, error) = {
        let mean = all.iter().map(|us| *us as f64).sum::<f64>() / COUNT as f64;
        let variance = all.iter().map(|us| (*us as f64 - mean).powi(2)).sum::<f64>() / COUNT as f64;
        (mean, (variance / COUNT as f64).sqrt())
    };
    let expected = delay.mean_us();
    assert!(
        (mean - expected).abs() < 5.0 * error + 1.0,
        "{delay:?}: mean {mean}, expected {expected} ± {error}"
    );
    assert!(all[COUNT * 995 / 1000] <= delay.high_us(), "{delay:?}: {} is not high", delay.high_us());
}

/// The inverse of the standard normal distribution function, by halving.
fn normal_quantile(q: f64) -> f64 {
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if normal_share(middle) < q { low = middle } else { high = middle }
    }
    low
}

/// Φ by its series, exact to 1e-12 where it is used.
fn normal_share(z: f64) -> f64 {
    let (mut term, mut sum) = (z, z);
    for n in 1..300 {
        term *= z * z / f64::from(2 * n + 1);
        sum += term;
    }
    (0.5 + sum * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()).clamp(0.0, 1.0)
}

#[test]
fn each_distribution_has_the_percentiles_and_the_mean_it_was_asked_for() {
    check(&Delay::constant(Duration::from_millis(7)), |_| 7_000.0);
    check(&Delay::Uniform { min_us: 10_000, max_us: 90_000 }, |q| 10_000.0 + q * 80_000.0);
    check(&Delay::Normal { mean_us: 100_000, sd_us: 20_000 }, |q| 100_000.0 + 20_000.0 * normal_quantile(q));
    // Half of these are cut.
    check(&Delay::Normal { mean_us: 0, sd_us: 20_000 }, |q| (20_000.0 * normal_quantile(q)).max(0.0));
    check(&Delay::lognormal(Duration::from_millis(100), Duration::from_millis(900)), |q| {
        100_000.0 * (9f64.ln() / Z_99 * normal_quantile(q)).exp()
    });
    check(&Delay::Exponential { mean_us: 30_000 }, |q| -30_000.0 * (1.0 - q).ln());
    check(&Delay::Pareto { min_us: 5_000, shape: 2.5 }, |q| 5_000.0 / (1.0 - q).powf(0.4));
}

#[test]
fn measured_delays_come_as_they_were_measured() {
    let source = || Source { file: "a".to_owned(), column: None, unit: Unit::Us };
    // A lump, a gap and a tail.
    let measured: Vec<u64> =
        (0..900).map(|n| 1_000 + n).chain((0..100).map(|n| 50_000 + n * n * 10)).collect();
    let table = Empirical::of_samples(source(), measured).unwrap();
    let delay = Delay::Empirical(Arc::new(table.clone()));
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    check(&delay, |q| table.quantile_us(q) as f64);
    let classes = [(100, 199, 700), (1_000, 1_999, 250), (20_000, 29_999, 50)];
    let table = Empirical::of_buckets(source(), classes).unwrap();
    let delay = Delay::Empirical(Arc::new(table.clone()));
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    check(&delay, |q| table.quantile_us(q) as f64);
}

#[test]
fn a_mixture_takes_each_part_by_its_weight() {
    let part = |weight, min_us, max_us| Part { weight, of: Delay::Uniform { min_us, max_us } };
    let mix = Delay::Mix([part(85.0, 10_000, 20_000), part(0.0, 1, 2), part(15.0, 100_000, 200_000)].into());
    check(&mix, |q| {
        if q < 0.85 { 10_000.0 + q / 0.85 * 10_000.0 } else { 100_000.0 + (q - 0.85) / 0.15 * 100_000.0 }
    });
    assert_eq!(mix.high_us(), 200_000);
    let all = samples(&mix);
    assert!(all[0] >= 10_000, "a part without weight is never drawn");
}

#[test]
fn a_uniform_delay_reaches_both_ends_and_no_further() {
    let all = samples(&Delay::Uniform { min_us: 3, max_us: 5 });
    assert_eq!((all[0], all[COUNT - 1]), (3, 5));
    assert!(all.contains(&4));
}

#[test]
fn no_delay_outlasts_a_year() {
    let heavy = Delay::Pareto { min_us: 300 * 86_400_000_000, shape: 1.001 };
    assert_eq!(samples(&heavy)[COUNT - 1], whole(f64::MAX));
}

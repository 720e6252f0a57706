//! How a device treats an execution. Each setting has a draw of its own, so that changing one leaves
//! the others as they were.

use crate::scenario::{Behavior, OutcomeKind};
use crate::seed::{Draw, Purpose, Seed, Subject};
use crate::units::Share;

use super::{DeviceId, Plan};

/// How a device treats one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// How it ends.
    pub kind: OutcomeKind,
    /// Index into the group's planned outcomes, for reason code and text; `None` for the rest.
    pub outcome: Option<u8>,
    /// Request taken up → IN_PROGRESS, in µs; `None` = none is sent.
    pub accept_us: Option<u64>,
    /// Request taken up (or IN_PROGRESS reply) → final answer, in µs; of a late one, the execution's
    /// time-out → final answer. Not used by `NoAnswer`.
    pub delay_us: u64,
    /// Whether the final answer is sent twice in a row.
    pub twice: bool,
    /// Whether an IN_PROGRESS is sent after the final answer.
    pub out_of_order: bool,
    /// Which kind of malformed update is sent before the final answer, below [`Decision::MALFORMED`];
    /// `None` = none is.
    pub malformed: Option<u8>,
    /// The connection drops when this much of the delay has passed, in 65,536ths; `None` = it does not.
    pub drops_at: Option<u16>,
}

impl Decision {
    /// Kinds of malformed updates.
    pub const MALFORMED: u8 = 4;

    /// The same with delays that take `times` as long.
    #[must_use]
    pub fn slowed(self, times: f64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "delays are far below 2^53 µs; positive, saturating"
        )]
        let longer = |us: u64| (us as f64 * times).round() as u64;
        Self { accept_us: self.accept_us.map(longer), delay_us: longer(self.delay_us), ..self }
    }
}

impl Plan {
    /// How `device` treats the `n`-th (from 0) distinct execution it holds.
    pub fn decision(&self, device: DeviceId, n: u64) -> Decision {
        let (group, subject) = self.subject(device);
        let draws = Draws { seed: self.seed, subject, n };
        let drops = group.connect.drops.as_ref().map_or(Share::ZERO, |drops| drops.mid_command);
        decide(&group.behavior, drops, &draws)
    }
}

/// The draws for one execution of one device.
struct Draws {
    seed: Seed,
    subject: Subject,
    n: u64,
}

impl Draws {
    fn at(&self, purpose: Purpose) -> Draw {
        self.seed.at(purpose, self.subject, self.n)
    }

    /// What never happens needs no draw; the other draws do not depend on this one.
    fn hits(&self, purpose: Purpose, share: Share) -> Option<Draw> {
        if share.fraction() <= 0.0 {
            return None;
        }
        let mut draw = self.at(purpose);
        (draw.unit() < share.fraction()).then_some(draw)
    }
}

fn decide(behavior: &Behavior, drops: Share, draws: &Draws) -> Decision {
    let mut point = if behavior.outcomes.is_empty() { 1.0 } else { draws.at(Purpose::Decision).unit() };
    let chosen = behavior.outcomes.iter().zip(0u8..).find(|(outcome, _)| {
        let hit = point < outcome.share.fraction();
        point -= outcome.share.fraction();
        hit
    });
    let kind = chosen.map_or(OutcomeKind::Succeeded, |(outcome, _)| outcome.kind);
    let delay = chosen.and_then(|(outcome, _)| outcome.delay.as_ref()).unwrap_or(&behavior.delay);
    let purpose = if kind == OutcomeKind::Late { Purpose::Late } else { Purpose::Delay };
    Decision {
        kind,
        outcome: chosen.map(|(_, number)| number),
        // A device that refuses, or says nothing, does not report progress first.
        accept_us: behavior
            .accept_delay
            .as_ref()
            .filter(|_| !matches!(kind, OutcomeKind::Rejected | OutcomeKind::NoAnswer))
            .map(|delay| delay.sample_us(&mut draws.at(Purpose::Accept))),
        delay_us: delay.sample_us(&mut draws.at(purpose)),
        twice: draws.hits(Purpose::Duplicate, behavior.duplicates).is_some(),
        out_of_order: draws.hits(Purpose::OutOfOrder, behavior.out_of_order).is_some(),
        malformed: draws
            .hits(Purpose::Malformed, behavior.malformed)
            .map(|mut draw| u8::try_from(draw.below(u64::from(Decision::MALFORMED))).unwrap_or_default()),
        drops_at: draws.hits(Purpose::MidCommand, drops).map(|mut draw| {
            // The upper 16 of 64 random bits.
            u16::try_from(draw.bits() >> 48).unwrap_or(u16::MAX)
        }),
    }
}

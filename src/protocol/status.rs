//! The life of an execution as a pure state machine.
//!
//! A TIMED_OUT made by the cloud's timer is not terminal: the device may still answer. One that the
//! device reports is. Outside both read TIMED_OUT, so [`Status`] is what people see and [`State`]
//! what decides. There is no cancel.

use super::UpdateErrorCode;

/// The status of an execution as the service shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Made by the cloud, nothing heard from the device.
    Created,
    /// The device works on it.
    InProgress,
    /// Done.
    Succeeded,
    /// Tried and failed.
    Failed,
    /// The device would not do it.
    Rejected,
    /// Not answered in time, or the device says it took too long.
    TimedOut,
}

impl Status {
    /// Every status, in the order of an execution's life.
    pub const ALL: [Status; 6] = [
        Status::Created,
        Status::InProgress,
        Status::Succeeded,
        Status::Failed,
        Status::Rejected,
        Status::TimedOut,
    ];

    /// The name on the wire, in upper case.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Created => "CREATED",
            Status::InProgress => "IN_PROGRESS",
            Status::Succeeded => "SUCCEEDED",
            Status::Failed => "FAILED",
            Status::Rejected => "REJECTED",
            Status::TimedOut => "TIMED_OUT",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl serde::Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Status {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = super::wire::Text::deserialize(deserializer)?.0;
        Status::from_name(&name).ok_or_else(|| {
            serde::de::Error::custom(format_args!("\"{name}\" is not a status of an execution"))
        })
    }
}

/// The state of an execution: its status, and who timed it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Made by the cloud, nothing heard from the device.
    Created,
    /// The device works on it; may be repeated.
    InProgress,
    /// Terminal.
    Succeeded,
    /// Terminal.
    Failed,
    /// Terminal.
    Rejected,
    /// The timer ran out. Ended for the operator, open for the device.
    TimedOutByCloud,
    /// The device reported TIMED_OUT. Terminal.
    TimedOutByDevice,
}

impl State {
    /// Every state.
    pub const ALL: [State; 7] = [
        State::Created,
        State::InProgress,
        State::Succeeded,
        State::Failed,
        State::Rejected,
        State::TimedOutByCloud,
        State::TimedOutByDevice,
    ];

    /// What the service shows.
    pub const fn status(self) -> Status {
        match self {
            State::Created => Status::Created,
            State::InProgress => Status::InProgress,
            State::Succeeded => Status::Succeeded,
            State::Failed => Status::Failed,
            State::Rejected => Status::Rejected,
            State::TimedOutByCloud | State::TimedOutByDevice => Status::TimedOut,
        }
    }

    /// Whether no update can change it any more.
    pub const fn is_terminal(self) -> bool {
        match self {
            State::Created | State::InProgress | State::TimedOutByCloud => false,
            State::Succeeded | State::Failed | State::Rejected | State::TimedOutByDevice => true,
        }
    }

    /// The state after the device reports `to`, or the error it is answered with.
    ///
    /// The sources disagree on the error after the end. Here: IN_PROGRESS after the end, and anything
    /// after the device's own TIMED_OUT, is InvalidStateTransition; another end after the end is
    /// TerminalStateReached. CREATED is no status a device can report: InvalidRequest.
    pub const fn update(self, to: Status) -> Result<State, UpdateErrorCode> {
        let next = match to {
            Status::Created => return Err(UpdateErrorCode::InvalidRequest),
            Status::InProgress => State::InProgress,
            Status::Succeeded => State::Succeeded,
            Status::Failed => State::Failed,
            Status::Rejected => State::Rejected,
            Status::TimedOut => State::TimedOutByDevice,
        };
        match (self, next) {
            (State::Created | State::InProgress, _) => Ok(next),
            (_, State::InProgress) | (State::TimedOutByDevice, _) => {
                Err(UpdateErrorCode::InvalidStateTransition)
            }
            (State::TimedOutByCloud, _) => Ok(next),
            _ => Err(UpdateErrorCode::TerminalStateReached),
        }
    }

    /// The state after the timer runs out; `None` where it means nothing any more.
    pub const fn time_out(self) -> Option<State> {
        match self {
            State::Created | State::InProgress => Some(State::TimedOutByCloud),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use UpdateErrorCode::{InvalidRequest, InvalidStateTransition, TerminalStateReached};

    /// Rows: from. Columns: IN_PROGRESS, SUCCEEDED, FAILED, REJECTED, TIMED_OUT reported by the device.
    #[test]
    fn every_pair_of_states_does_what_the_service_does() {
        use State::{Created, Failed, InProgress, Rejected, Succeeded, TimedOutByCloud, TimedOutByDevice};
        let ends = [Ok(Succeeded), Ok(Failed), Ok(Rejected), Ok(TimedOutByDevice)];
        let table = [
            (Created, Ok(InProgress), ends),
            (InProgress, Ok(InProgress), ends),
            (TimedOutByCloud, Err(InvalidStateTransition), ends),
            (TimedOutByDevice, Err(InvalidStateTransition), [Err(InvalidStateTransition); 4]),
            (Succeeded, Err(InvalidStateTransition), [Err(TerminalStateReached); 4]),
            (Failed, Err(InvalidStateTransition), [Err(TerminalStateReached); 4]),
            (Rejected, Err(InvalidStateTransition), [Err(TerminalStateReached); 4]),
        ];
        assert_eq!(table.len(), State::ALL.len());
        for (from, on_in_progress, on_end) in table {
            assert_eq!(from.update(Status::Created), Err(InvalidRequest), "{from:?} → CREATED");
            assert_eq!(from.update(Status::InProgress), on_in_progress, "{from:?} → IN_PROGRESS");
            let reported = [Status::Succeeded, Status::Failed, Status::Rejected, Status::TimedOut];
            for (to, expected) in reported.into_iter().zip(on_end) {
                assert_eq!(from.update(to), expected, "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn the_timer_ends_only_what_is_open_for_the_operator() {
        for state in State::ALL {
            let expected =
                matches!(state, State::Created | State::InProgress).then_some(State::TimedOutByCloud);
            assert_eq!(state.time_out(), expected, "{state:?}");
        }
    }

    #[test]
    fn a_terminal_state_takes_no_update_and_every_other_takes_one() {
        for state in State::ALL {
            let takes_one = Status::ALL.into_iter().any(|to| state.update(to).is_ok());
            assert_eq!(state.is_terminal(), !takes_one, "{state:?}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(status.name()), Some(status));
        }
        assert_eq!(Status::from_name("CANCELED"), None);
        assert_eq!(Status::from_name("succeeded"), None);
    }
}

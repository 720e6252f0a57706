//! Exit codes: one table, in order of priority, for the program, its help and its tests.

use std::fmt;

/// How a run ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Ran, thresholds passed.
    Ok,
    /// Bad flags.
    Usage,
    /// The scenario has errors.
    Data,
    /// A scenario or data file is missing.
    NoInput,
    /// Target unreachable, fleet did not connect, or address in use.
    Unavailable,
    /// A bug of ours: a panic, or an accounting that does not add up.
    Software,
    /// An output cannot be written.
    CantCreate,
    /// AWS credentials, region or the consent to use them are missing, or the credentials are of another account.
    NoPermission,
    /// Slower than the baseline it was compared with.
    Regression,
    /// The run is not valid: the generator fell behind.
    Void,
    /// Thresholds failed.
    Thresholds,
    /// Stopped by the user; outputs written.
    Stopped,
    /// A rollout stopped itself by `abort_when`, while no threshold failed.
    RolloutAborted,
}

/// What is shown when several hold: the first of these that does.
const PRIORITY: [Exit; 13] = [
    Exit::Usage,
    Exit::NoInput,
    Exit::Data,
    Exit::NoPermission,
    Exit::Software,
    Exit::CantCreate,
    Exit::Stopped,
    Exit::Unavailable,
    Exit::Void,
    Exit::Thresholds,
    Exit::Regression,
    Exit::RolloutAborted,
    Exit::Ok,
];

impl Exit {
    /// Every exit, most important first.
    pub const ALL: [Exit; 13] = PRIORITY;

    /// The process exit code (sysexits.h from 64 to 78; 98 and 99 as k6 users know them).
    pub const fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Usage => 2,
            Exit::Data => 65,
            Exit::NoInput => 66,
            Exit::Unavailable => 69,
            Exit::Software => 70,
            Exit::CantCreate => 73,
            Exit::NoPermission => 77,
            Exit::Regression => 97,
            Exit::Void => 98,
            Exit::Thresholds => 99,
            Exit::Stopped => 105,
            Exit::RolloutAborted => 108,
        }
    }

    /// One line for the help and the README.
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "ran, thresholds passed",
            Exit::Usage => "bad flags",
            Exit::Data => "scenario has errors, or results that cannot be compared",
            Exit::NoInput => "scenario, data or result file missing",
            Exit::Unavailable => {
                "target unreachable, fleet did not connect, address in use, too few descriptors"
            }
            Exit::Software => "a bug of fleetsim (outputs still written)",
            Exit::CantCreate => "cannot write an output",
            Exit::NoPermission => {
                "AWS credentials, region or consent missing, or credentials of another account"
            }
            Exit::Regression => "slower than the baseline",
            Exit::Void => "run not valid: the generator fell behind",
            Exit::Thresholds => "thresholds failed",
            Exit::Stopped => "stopped by the user, outputs written",
            Exit::RolloutAborted => "rollout stopped by abort_when while no threshold failed",
        }
    }

    /// The more important of two.
    #[must_use]
    pub fn or(self, other: Exit) -> Exit {
        *PRIORITY.iter().find(|exit| **exit == self || **exit == other).unwrap_or(&Exit::Ok)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.code(), self.meaning())
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_important_exit_wins_whatever_the_order() {
        let rank = [
            Exit::Software,
            Exit::CantCreate,
            Exit::Stopped,
            Exit::Unavailable,
            Exit::Void,
            Exit::Thresholds,
            Exit::Regression,
            Exit::RolloutAborted,
            Exit::Ok,
        ];
        for (i, high) in rank.iter().enumerate() {
            for low in &rank[i..] {
                assert_eq!(high.or(*low), *high);
                assert_eq!(low.or(*high), *high);
            }
        }
    }

    #[test]
    fn codes_are_distinct() {
        let mut codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        codes.sort_unstable();
        assert_eq!(codes, [0, 2, 65, 66, 69, 70, 73, 77, 97, 98, 99, 105, 108]);
    }
}

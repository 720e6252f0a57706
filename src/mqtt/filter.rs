//! Topic names, topic filters, and which filter matches which topic (section 4.7).

/// The longest topic name or filter in bytes ([MQTT-4.7.3-3]).
const MAX_BYTES: usize = 65_535;

/// Why a text is not a topic name, or not a topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// No character at all.
    #[error("[MQTT-4.7.3-1] is empty")]
    Empty,
    /// More than 65,535 bytes.
    #[error("[MQTT-4.7.3-3] is longer than 65535 bytes")]
    TooLong,
    /// Contains U+0000.
    #[error("[MQTT-4.7.3-2] contains U+0000")]
    Nul,
    /// A topic name with `+` or `#`.
    #[error("[MQTT-3.3.2-2] is a topic name and contains a wildcard")]
    Wildcard,
    /// `#` that is not the whole last level.
    #[error("[MQTT-4.7.1-2] `#` must be the whole last level")]
    MisplacedHash,
    /// `+` that is not a whole level.
    #[error("[MQTT-4.7.1-3] `+` must be a whole level")]
    MisplacedPlus,
    /// `$share/` and then no name.
    #[error("[MQTT-4.8.2-1] has an empty share name")]
    EmptyShareName,
    /// A share name with `+` or `#`.
    #[error("[MQTT-4.8.2-2] has a share name with a wildcard")]
    ShareNameWildcard,
    /// `$share/name` and then no filter.
    #[error("[MQTT-4.8.2-2] has no topic filter behind its share name")]
    NoSharedFilter,
}

/// Checks a topic name: what a PUBLISH carries.
pub fn topic_is_valid(topic: &str) -> Result<(), TopicError> {
    // One pass without an early way out, which compilers turn into vector code: every message comes by here.
    let (mut nul, mut wildcard) = (false, false);
    for byte in topic.bytes() {
        nul |= byte == 0;
        wildcard |= matches!(byte, b'#' | b'+');
    }
    match () {
        () if topic.is_empty() => Err(TopicError::Empty),
        () if topic.len() > MAX_BYTES => Err(TopicError::TooLong),
        () if nul => Err(TopicError::Nul),
        () if wildcard => Err(TopicError::Wildcard),
        () => Ok(()),
    }
}

/// Checks a topic filter: what a SUBSCRIBE carries.
pub fn filter_is_valid(filter: &str) -> Result<(), TopicError> {
    if filter.is_empty() {
        return Err(TopicError::Empty);
    }
    if filter.len() > MAX_BYTES {
        return Err(TopicError::TooLong);
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('\0') {
            return Err(TopicError::Nul);
        }
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(TopicError::MisplacedHash);
        }
        if level.contains('+') && level != "+" {
            return Err(TopicError::MisplacedPlus);
        }
    }
    Ok(())
}

/// The share name and the filter of a shared subscription, `$share/{name}/{filter}` (MQTT 5, 4.8.2); `None` if
/// `filter`, which must be valid, is not one.
pub fn split_shared(filter: &str) -> Result<Option<(&str, &str)>, TopicError> {
    let Some(shared) = filter.strip_prefix("$share/") else { return Ok(None) };
    let (name, filter) = shared.split_once('/').unwrap_or((shared, ""));
    match () {
        () if name.is_empty() => Err(TopicError::EmptyShareName),
        () if name.contains(['+', '#']) => Err(TopicError::ShareNameWildcard),
        () if filter.is_empty() => Err(TopicError::NoSharedFilter),
        () => Ok(Some((name, filter))),
    }
}

/// Whether `filter` matches `topic`; both must be valid. A wildcard at the front does not match a topic
/// that starts with `$` ([MQTT-4.7.2-1]).
pub fn matches(filter: &str, topic: &str) -> bool {
    let front_is_wild = matches!(filter.as_bytes().first(), Some(b'#' | b'+'));
    !(front_is_wild && topic.starts_with('$')) && levels_match(filter, topic)
}

/// As [`matches`], for the rear parts of a filter and a topic, where `$` means nothing.
pub fn levels_match(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            // "a/#" matches "a" as well: the `#` stands for any number of levels, none included.
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_follow_section_4_7() {
        let long = "x".repeat(65_536);
        let rows: &[(&str, Result<(), TopicError>)] = &[
            ("a", Ok(())),
            ("/", Ok(())),
            ("a//b", Ok(())),
            ("accounts payable", Ok(())),
            ("$aws/commands/things/t/executions/e/request", Ok(())),
            ("größe/温度", Ok(())),
            ("\u{feff}a", Ok(())),
            (&long[1..], Ok(())),
            (&long, Err(TopicError::TooLong)),
            ("", Err(TopicError::Empty)),
            ("a\0", Err(TopicError::Nul)),
            ("a/+", Err(TopicError::Wildcard)),
            ("#", Err(TopicError::Wildcard)),
            ("a#b", Err(TopicError::Wildcard)),
        ];
        for (topic, expected) in rows {
            assert_eq!(topic_is_valid(topic), *expected, "{topic:.40}");
        }
    }

    #[test]
    fn filters_follow_section_4_7() {
        let long = "x".repeat(65_536);
        let rows: &[(&str, Result<(), TopicError>)] = &[
            ("#", Ok(())),
            ("+", Ok(())),
            ("/#", Ok(())),
            ("+/+", Ok(())),
            ("/", Ok(())),
            ("sport/tennis/#", Ok(())),
            ("+/tennis/#", Ok(())),
            ("sport/+/player1", Ok(())),
            (&long, Err(TopicError::TooLong)),
            ("", Err(TopicError::Empty)),
            ("a/\0", Err(TopicError::Nul)),
            ("sport/tennis#", Err(TopicError::MisplacedHash)),
            ("sport/tennis/#/ranking", Err(TopicError::MisplacedHash)),
            ("$aws/commands/things/t/executions/#/request", Err(TopicError::MisplacedHash)),
            ("##", Err(TopicError::MisplacedHash)),
            ("sport+", Err(TopicError::MisplacedPlus)),
            ("a/+b/c", Err(TopicError::MisplacedPlus)),
        ];
        for (filter, expected) in rows {
            assert_eq!(filter_is_valid(filter), *expected, "{filter:.40}");
        }
    }

    #[test]
    fn shared_filters_follow_section_4_8_2() {
        type Split = Result<Option<(&'static str, &'static str)>, TopicError>;
        let rows: &[(&str, Split)] = &[
            ("$share/consumer1/sport/tennis/+", Ok(Some(("consumer1", "sport/tennis/+")))),
            ("$share/a/#", Ok(Some(("a", "#")))),
            ("$share/a//finance", Ok(Some(("a", "/finance")))),
            ("$share/$b/$SYS/x", Ok(Some(("$b", "$SYS/x")))),
            ("sport/$share/a/b", Ok(None)),
            ("$share", Ok(None)),
            ("$shared/a/b", Ok(None)),
            ("$SHARE/a/b", Ok(None)),
            ("$share/", Err(TopicError::EmptyShareName)),
            ("$share//a", Err(TopicError::EmptyShareName)),
            ("$share/+/a", Err(TopicError::ShareNameWildcard)),
            ("$share/#", Err(TopicError::ShareNameWildcard)),
            ("$share/a", Err(TopicError::NoSharedFilter)),
            ("$share/a/", Err(TopicError::NoSharedFilter)),
        ];
        for (filter, expected) in rows {
            assert_eq!(split_shared(filter), *expected, "{filter}");
        }
    }

    #[test]
    fn matching_follows_the_examples_of_section_4_7() {
        let rows = [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/tennis/player1/#", "sport/tennis/player2", false),
            ("sport/#", "sport", true),
            ("sport/#", "sports", false),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("+/tennis/#", "sport/tennis", true),
            ("#", "a/b/c", true),
            ("#", "/", true),
            ("a/b", "a/b", true),
            ("a/b", "a/B", false),
            ("a/b", "a/b/", false),
            ("a/b/", "a/b", false),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("+", "$SYS", false),
            ("$SYS/#", "$SYS/x", true),
            ("$SYS/+/y", "$SYS/x/y", true),
            ("a/#", "a/$b", true),
            ("a/+", "a/$b", true),
        ];
        for (filter, topic, expected) in rows {
            assert_eq!(matches(filter, topic), expected, "{filter} on {topic}");
        }
    }
}

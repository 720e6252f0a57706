//! The topic aliases that one client has set (MQTT 5, 3.3.2.3.4).

use std::num::NonZeroU16;

use crate::mqtt::Violation;

/// Aliases a client may set: AWS IoT Core's 8. Each keeps a topic of up to 64 KiB, so more would be a way to
/// fill memory; a device publishes to two or three topics.
pub(super) const MAXIMUM: u16 = 8;

/// See the module. Exists once the client has set one.
#[derive(Debug, Default)]
pub(super) struct Aliases([Option<Box<str>>; MAXIMUM as usize]);

impl Aliases {
    /// The topic that is meant by an alias with `topic`: sets the alias if the topic is not empty.
    pub(super) fn resolve<'a>(
        aliases: &'a mut Option<Box<Self>>,
        alias: NonZeroU16,
        topic: &'a str,
    ) -> Result<&'a str, Violation> {
        if alias.get() > MAXIMUM {
            return Err(Violation::TopicAliasTooLarge { found: alias.get(), max: MAXIMUM });
        }
        let unknown = Violation::UnknownTopicAlias(alias.get());
        let place = usize::from(alias.get()) - 1;
        if topic.is_empty() {
            let known = aliases.as_ref().and_then(|aliases| aliases.0.get(place)?.as_deref());
            return known.ok_or(unknown);
        }
        let aliases = aliases.get_or_insert_default();
        let known = aliases.0.get_mut(place).ok_or(unknown)?;
        if known.as_deref() != Some(topic) {
            *known = Some(Box::from(topic));
        }
        Ok(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_the_last_topic_it_was_set_to() {
        let mut aliases = None;
        let mut resolve = |alias: u16, topic: &str| {
            Aliases::resolve(&mut aliases, NonZeroU16::new(alias).unwrap(), topic).map(str::to_owned)
        };
        let unknown = |alias| Err(Violation::UnknownTopicAlias(alias));
        assert_eq!(resolve(1, ""), unknown(1));
        assert_eq!(resolve(1, "a"), Ok("a".to_owned()));
        assert_eq!(resolve(8, "b"), Ok("b".to_owned()));
        assert_eq!(resolve(1, ""), Ok("a".to_owned()));
        assert_eq!(resolve(1, "c"), Ok("c".to_owned()));
        assert_eq!(resolve(1, ""), Ok("c".to_owned()));
        assert_eq!(resolve(8, ""), Ok("b".to_owned()));
        assert_eq!(resolve(2, ""), unknown(2));
        assert_eq!(resolve(9, "d"), Err(Violation::TopicAliasTooLarge { found: 9, max: 8 }));
    }
}

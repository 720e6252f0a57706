//! The stored commands, and what becomes of them: deprecated, restored, deleted. Listing them and changing
//! their texts come later.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Instant;
use crate::protocol::{
    ApiError, CommandArn, CommandPayload, CreateCommandRequest, Deletion, ErrorKind, Format,
    GetCommandResponse, InvalidShape, MandatoryParameter, NAMESPACE, OutputFormat, Parameters, Preprocessor,
    Tag, Template, TooLarge, UpdateCommandResponse, effective_parameters,
};

/// Most commands that are kept; at their largest (32 KiB of payload, texts and tags) they fill a few
/// hundred MiB. AWS's own number is not published.
const MAX_COMMANDS: usize = 10_000;

/// From a deletion that is asked for to the end of the command; and for how long it has to be deprecated to be
/// deleted at once.
const DELETION_DELAY: Duration = Duration::from_hours(12);

/// A command and what is to become of it.
#[derive(Debug)]
pub(super) struct Stored {
    pub command: Arc<Command>,
    /// Since when no new execution of it is started.
    deprecated_at: Option<Instant>,
    /// When it will be gone.
    deletes_at: Option<Instant>,
    updated_at: Instant,
}

impl Stored {
    fn is_gone(&self, now: Instant) -> bool {
        self.deletes_at.is_some_and(|at| at <= now)
    }

    /// As GetCommand shows it; `seconds` turns an instant into epoch seconds.
    pub fn describe(&self, seconds: impl Fn(Instant) -> f64) -> GetCommandResponse {
        GetCommandResponse {
            last_updated_at: seconds(self.updated_at),
            deprecated: self.deprecated_at.is_some(),
            pending_deletion: self.deletes_at.is_some(),
            ..self.command.describe(seconds)
        }
    }

    /// As UpdateCommand answers.
    pub fn updated(&self, seconds: impl Fn(Instant) -> f64) -> UpdateCommandResponse {
        UpdateCommandResponse {
            command_id: self.command.id.clone(),
            display_name: self.command.display_name.clone(),
            description: self.command.description.clone(),
            deprecated: self.deprecated_at.is_some(),
            last_updated_at: seconds(self.updated_at),
        }
    }
}

/// A stored command. Never changed once made: executions share it.
#[derive(Debug)]
pub(super) struct Command {
    pub id: String,
    pub arn: String,
    pub namespace: String,
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub payload: Option<CommandPayload>,
    /// Which request topic the payload goes to.
    pub format: Format,
    /// What a dynamic command's payloads are made of; the payload is then absent.
    dynamic: Option<Dynamic>,
    /// What the parameters of an execution must be.
    mandatory_parameters: Vec<MandatoryParameter>,
    pub role_arn: Option<String>,
    /// For the tag operations, which come later.
    #[expect(dead_code, reason = "kept from the start, so that no command loses its tags")]
    pub tags: Vec<Tag>,
    pub created_at: Instant,
}

/// A payload that is made for each execution.
#[derive(Debug)]
struct Dynamic {
    /// As it was given.
    text: String,
    preprocessor: Preprocessor,
    template: Template,
    output: OutputFormat,
}

impl Command {
    /// The bytes that are sent for an execution with these parameters and time-out; those of a dynamic
    /// command are made in `room`.
    pub fn content<'a>(
        &'a self,
        parameters: Option<&Parameters>,
        timeout_seconds: u32,
        room: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], TooLarge> {
        let Some(dynamic) = &self.dynamic else {
            return Ok(self.payload.as_ref().map_or(&[], |payload| &payload.content));
        };
        room.clear();
        let none = Parameters::new();
        dynamic.template.render(parameters.unwrap_or(&none), timeout_seconds, dynamic.output, room)?;
        Ok(room)
    }

    /// What they are, if there are any.
    pub fn content_type(&self) -> Option<&str> {
        match &self.dynamic {
            Some(dynamic) => Some(dynamic.output.content_type()),
            None => self.payload.as_ref().map(CommandPayload::content_type),
        }
    }

    /// The parameters of an execution, from those that its start gives and those that are declared.
    pub fn parameters<'a>(
        &self,
        given: Option<&'a Parameters>,
    ) -> Result<Option<Cow<'a, Parameters>>, InvalidShape> {
        effective_parameters(&self.mandatory_parameters, given, self.dynamic.is_some())
    }

    /// Whether each execution's payload is made for it.
    pub fn is_dynamic(&self) -> bool {
        self.dynamic.is_some()
    }

    /// What GetCommand shows of a command of which nothing has become yet.
    fn describe(&self, seconds: impl Fn(Instant) -> f64) -> GetCommandResponse {
        GetCommandResponse {
            command_id: self.id.clone(),
            command_arn: self.arn.clone(),
            namespace: self.namespace.clone(),
            display_name: self.display_name.clone(),
            description: self.description.clone(),
            payload: self.payload.as_ref().map(|payload| CommandPayload {
                content: payload.content.clone(),
                content_type: Some(payload.content_type().to_owned()),
            }),
            payload_template: self.dynamic.as_ref().map(|dynamic| dynamic.text.clone()),
            preprocessor: self.dynamic.as_ref().map(|dynamic| dynamic.preprocessor),
            mandatory_parameters: Some(self.mandatory_parameters.clone()).filter(|all| !all.is_empty()),
            role_arn: self.role_arn.clone(),
            created_at: seconds(self.created_at),
            last_updated_at: seconds(self.created_at),
            deprecated: false,
            pending_deletion: false,
        }
    }
}

/// All commands, by id.
#[derive(Debug, Default)]
pub(super) struct Commands {
    by_id: BTreeMap<String, Stored>,
}

impl Commands {
    /// Stores a command made from a checked request.
    pub fn create(
        &mut self,
        id: &str,
        request: CreateCommandRequest,
        (region, account): (&str, &str),
        now: Instant,
    ) -> Result<&Command, ApiError> {
        if let Some(stored) = self.by_id.get(id).filter(|stored| !stored.is_gone(now)) {
            // Its id is taken until it is gone, as nothing says otherwise of the service.
            let more = if stored.deletes_at.is_some() { ", and is about to be deleted" } else { "" };
            return Err(ApiError::conflict(format!("command \"{id}\" exists already{more}"), id));
        }
        if self.by_id.len() >= MAX_COMMANDS {
            self.by_id.retain(|_, stored| !stored.is_gone(now));
        }
        if self.by_id.len() >= MAX_COMMANDS {
            let message = format!("there are {MAX_COMMANDS} commands already, which is the most");
            return Err(ApiError::new(ErrorKind::ServiceQuotaExceeded, message));
        }
        let dynamic = match (request.template()?, &request.payload_template, request.preprocessor) {
            (Some((template, output)), Some(text), Some(preprocessor)) => {
                Some(Dynamic { text: text.clone(), preprocessor, template, output })
            }
            _ => None,
        };
        let content_type = match &dynamic {
            Some(dynamic) => Some(dynamic.output.content_type()),
            None => request.payload.as_ref().map(CommandPayload::content_type),
        };
        let command = Command {
            id: id.to_owned(),
            arn: CommandArn::new(region, account, id).to_string(),
            namespace: request.namespace().to_owned(),
            format: content_type.map_or(Format::Generic, Format::of_content_type),
            dynamic,
            mandatory_parameters: request.mandatory_parameters.unwrap_or_default(),
            display_name: request.display_name,
            description: request.description,
            payload: request.payload,
            role_arn: request.role_arn,
            tags: request.tags.unwrap_or_default(),
            created_at: now,
        };
        let stored =
            Stored { command: Arc::new(command), deprecated_at: None, deletes_at: None, updated_at: now };
        // What stood there is gone.
        self.by_id.insert(id.to_owned(), stored);
        Ok(&self.get(id, now)?.command)
    }

    /// The command of that id.
    pub fn get(&self, id: &str, now: Instant) -> Result<&Stored, ApiError> {
        self.by_id.get(id).filter(|stored| !stored.is_gone(now)).ok_or_else(|| missing(id))
    }

    /// Deprecates a command, or restores it. Executions that are open go on.
    pub fn deprecate(&mut self, id: &str, deprecated: bool, now: Instant) -> Result<&Stored, ApiError> {
        let stored =
            self.by_id.get_mut(id).filter(|stored| !stored.is_gone(now)).ok_or_else(|| missing(id))?;
        if stored.deletes_at.is_some() {
            return Err(ApiError::conflict(format!("command \"{id}\" is about to be deleted"), id));
        }
        if deprecated != stored.deprecated_at.is_some() {
            stored.deprecated_at = deprecated.then_some(now);
            // Also the instant of the deprecation, for those who ask.
            stored.updated_at = now;
        }
        Ok(stored)
    }

    /// Deletes a command: at once if it has been deprecated for long, else in twelve hours. To delete what
    /// is not there is to have it gone. Executions that are open go on.
    pub fn delete(&mut self, id: &str, now: Instant) -> Deletion {
        let Some(stored) = self.by_id.get_mut(id) else { return Deletion::Done };
        let deprecated_long = stored.deprecated_at.is_some_and(|since| since.plus(DELETION_DELAY) <= now);
        if deprecated_long || stored.is_gone(now) {
            self.by_id.remove(id);
            return Deletion::Done;
        }
        if stored.deletes_at.is_none() {
            stored.deletes_at = Some(now.plus(DELETION_DELAY));
            stored.updated_at = now;
        }
        Deletion::Scheduled
    }

    /// The command of that id, if executions of it can be started.
    ///
    /// The FleetWise namespace is kept but not started: that service is closed to new customers.
    /// One that is deprecated is refused as the service does it; one that is about to be deleted in the same
    /// way, for which nothing is published.
    pub fn startable(&self, id: &str, now: Instant) -> Result<&Arc<Command>, ApiError> {
        let Stored { command, deprecated_at, deletes_at, .. } = self.get(id, now)?;
        for (state, has) in [("deprecated", deprecated_at), ("about to be deleted", deletes_at)] {
            if has.is_some() {
                let message = format!("command \"{id}\" is {state}: it takes no new executions");
                return Err(ApiError::new(ErrorKind::Validation, message));
            }
        }
        if command.namespace != NAMESPACE {
            let message =
                format!("command \"{id}\" is in namespace {}, expected {NAMESPACE}", command.namespace);
            return Err(ApiError::new(ErrorKind::Validation, message));
        }
        Ok(command)
    }
}

fn missing(id: &str) -> ApiError {
    ApiError::new(ErrorKind::ResourceNotFound, format!("there is no command \"{id}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: (&str, &str) = ("us-east-1", "123456789012");

    fn request(content_type: Option<&str>) -> CreateCommandRequest {
        let content_type = content_type.map(str::to_owned);
        CreateCommandRequest {
            payload: Some(CommandPayload { content: b"x".to_vec(), content_type }),
            ..CreateCommandRequest::default()
        }
    }

    #[test]
    fn a_command_is_made_once() {
        let mut commands = Commands::default();
        let made = commands.create("c1", request(None), HERE, Instant::START).unwrap();
        assert_eq!(made.arn, "arn:aws:iot:us-east-1:123456789012:command/c1");
        let again = commands.create("c1", request(None), HERE, Instant::START).unwrap_err();
        assert_eq!((again.kind, again.resource_id.as_deref()), (ErrorKind::Conflict, Some("c1")));
        assert_eq!(commands.get("nope", Instant::START).unwrap_err().kind, ErrorKind::ResourceNotFound);
    }

    #[test]
    fn a_payload_without_a_type_is_octets_and_goes_to_the_bare_topic() {
        let mut commands = Commands::default();
        for (id, content_type, shown, format) in [
            ("a", None, "application/octet-stream", Format::Generic),
            ("b", Some("text/plain"), "text/plain", Format::Generic),
            ("c", Some("application/json"), "application/json", Format::Json),
            ("d", Some("application/cbor"), "application/cbor", Format::Cbor),
        ] {
            let made = commands.create(id, request(content_type), HERE, Instant::START).unwrap();
            assert_eq!(made.format, format, "{content_type:?}");
            let payload = made.describe(|_| 0.0).payload.unwrap();
            assert_eq!(payload.content_type.as_deref(), Some(shown));
        }
    }

    #[test]
    fn a_fleetwise_command_cannot_be_started() {
        let mut commands = Commands::default();
        let namespace = Some("AWS-IoT-FleetWise".to_owned());
        commands
            .create("f", CreateCommandRequest { namespace, ..request(None) }, HERE, Instant::START)
            .unwrap();
        assert!(commands.get("f", Instant::START).is_ok());
        assert_eq!(commands.startable("f", Instant::START).unwrap_err().kind, ErrorKind::Validation);
    }

    #[test]
    fn there_is_a_most_of_commands() {
        let mut commands = Commands::default();
        for n in 0..MAX_COMMANDS {
            commands.create(&n.to_string(), CreateCommandRequest::default(), HERE, Instant::START).unwrap();
        }
        let refused = commands.create("one", request(None), HERE, Instant::START).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::ServiceQuotaExceeded);
    }

    /// An hour of the test.
    fn hour(hours: u64) -> Instant {
        Instant::START.plus(Duration::from_hours(hours))
    }

    #[test]
    fn a_command_is_gone_twelve_hours_after_it_was_deleted() {
        let mut commands = Commands::default();
        commands.create("c", request(None), HERE, hour(0)).unwrap();
        assert_eq!(commands.delete("c", hour(1)), Deletion::Scheduled);
        assert_eq!(commands.delete("c", hour(2)), Deletion::Scheduled, "again, which changes nothing");
        assert!(commands.get("c", hour(12)).unwrap().describe(|_| 0.0).pending_deletion);
        assert_eq!(commands.startable("c", hour(12)).unwrap_err().kind, ErrorKind::Validation);
        assert_eq!(
            commands.create("c", request(None), HERE, hour(12)).unwrap_err().kind,
            ErrorKind::Conflict
        );
        assert_eq!(commands.deprecate("c", true, hour(12)).unwrap_err().kind, ErrorKind::Conflict);
        assert_eq!(commands.get("c", hour(13)).unwrap_err().kind, ErrorKind::ResourceNotFound);
        assert_eq!(commands.delete("c", hour(13)), Deletion::Done);
        assert_eq!(commands.delete("never", hour(13)), Deletion::Done);
        assert!(commands.create("c", request(None), HERE, hour(13)).is_ok());
        assert!(!commands.get("c", hour(13)).unwrap().describe(|_| 0.0).pending_deletion);
    }

    #[test]
    fn a_command_that_is_deprecated_for_long_is_deleted_at_once() {
        let mut commands = Commands::default();
        commands.create("c", request(None), HERE, hour(0)).unwrap();
        assert!(commands.deprecate("c", true, hour(1)).unwrap().describe(|_| 0.0).deprecated);
        // Again, which does not begin anew.
        commands.deprecate("c", true, hour(5)).unwrap();
        assert_eq!(commands.startable("c", hour(5)).unwrap_err().kind, ErrorKind::Validation);
        assert!(!commands.deprecate("c", false, hour(6)).unwrap().describe(|_| 0.0).deprecated);
        assert!(commands.startable("c", hour(6)).is_ok(), "it is restored");
        commands.deprecate("c", true, hour(7)).unwrap();
        assert_eq!(commands.delete("c", hour(19)), Deletion::Done);
        assert_eq!(commands.get("c", hour(19)).unwrap_err().kind, ErrorKind::ResourceNotFound);
    }
}

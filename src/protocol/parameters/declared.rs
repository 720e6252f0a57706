//! Parameters as a command declares them: types, defaults, conditions; and what the values of an execution
//! come to be.
//!
//! A value is the one of the start, else the declaration's `value`, else its `defaultValue`; the conditions
//! are checked on what that gives.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{InvalidShape, ParameterValue, check_name};
use crate::protocol::{text, wire};

/// Values by name.
pub type Parameters = BTreeMap<String, ParameterValue>;

/// Longest description, in characters (the model's number).
const MAX_DESCRIPTION: usize = 2028;
/// Numbers or texts of a set.
const MAX_SET: usize = 10;

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ParameterType {
    /// `S`
    String,
    /// `I`
    Integer,
    /// `D`
    Double,
    /// `L`
    Long,
    /// `UL`
    UnsignedLong,
    /// `B`
    Boolean,
    /// `BIN`
    Binary,
}

impl ParameterType {
    /// The type of a value.
    pub const fn of(value: &ParameterValue) -> Self {
        match value {
            ParameterValue::S(_) => ParameterType::String,
            ParameterValue::B(_) => ParameterType::Boolean,
            ParameterValue::I(_) => ParameterType::Integer,
            ParameterValue::L(_) => ParameterType::Long,
            ParameterValue::D(_) => ParameterType::Double,
            ParameterValue::Bin(_) => ParameterType::Binary,
            ParameterValue::Ul(_) => ParameterType::UnsignedLong,
        }
    }

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            ParameterType::String => "STRING",
            ParameterType::Integer => "INTEGER",
            ParameterType::Double => "DOUBLE",
            ParameterType::Long => "LONG",
            ParameterType::UnsignedLong => "UNSIGNEDLONG",
            ParameterType::Boolean => "BOOLEAN",
            ParameterType::Binary => "BINARY",
        }
    }

    const fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Double | Self::Long | Self::UnsignedLong)
    }
}

/// A parameter that a command declares.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MandatoryParameter {
    /// 1 to 192 characters of `[.$a-zA-Z0-9_-]`.
    pub name: String,
    /// Its type; if absent, that of its value.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ParameterType>,
    /// Its value where the start gives none, before the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<ParameterValue>,
    /// Its value where nobody gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_value: Option<ParameterValue>,
    /// What must hold of its value.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_objects")]
    pub value_conditions: Option<Vec<ValueCondition>>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Something that must hold of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueCondition {
    /// How it is compared.
    pub comparison_operator: ComparisonOperator,
    /// With what.
    pub operand: Operand,
}

/// How a value is compared. Ranges include their bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ComparisonOperator {
    Equals,
    NotEquals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
    InSet,
    NotInSet,
    InRange,
    NotInRange,
}

/// What a value is compared with: exactly one of the members.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Operand {
    /// A number, written as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// 1 to 10 numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Vec<String>>,
    /// A text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string: Option<String>,
    /// 1 to 10 texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strings: Option<Vec<String>>,
    /// Two numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_range: Option<NumberRange>,
}

/// From `min` to `max`, both included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberRange {
    /// The smallest.
    pub min: String,
    /// The largest.
    pub max: String,
}

/// A number as operands and values have it: whole ones are compared exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(i128),
    Double(f64),
}

/// An operand that was looked at.
enum Sound<'a> {
    Numbers(Vec<Number>),
    Range(Number, Number),
    Texts(Vec<&'a str>),
}

impl Number {
    fn read(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse() {
            return Some(Number::Whole(whole));
        }
        text.parse().ok().filter(|value: &f64| value.is_finite()).map(Number::Double)
    }

    fn of(value: &ParameterValue) -> Option<Self> {
        match value {
            ParameterValue::I(value) => Some(Number::Whole(i128::from(*value))),
            ParameterValue::L(value) => Some(Number::Whole(i128::from(*value))),
            ParameterValue::Ul(digits) => digits.parse().ok().map(Number::Whole),
            ParameterValue::D(value) => Some(Number::Double(*value)),
            ParameterValue::S(_) | ParameterValue::B(_) | ParameterValue::Bin(_) => None,
        }
    }

    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Number::Whole(a), Number::Whole(b)) => a.cmp(&b),
            (Number::Double(a), Number::Double(b)) => a.total_cmp(&(b + 0.0)),
            (Number::Whole(a), Number::Double(b)) => whole_with_double(a, b),
            (Number::Double(a), Number::Whole(b)) => whole_with_double(b, a).reverse(),
        }
    }
}

/// Without rounding the whole number.
fn whole_with_double(whole: i128, double: f64) -> Ordering {
    let floor = double.floor();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is out of range saturates, far beyond any value"
    )]
    let part = floor as i128;
    whole.cmp(&part).then(if double > floor { Ordering::Less } else { Ordering::Equal })
}

/// What is wrong with a parameter.
pub(super) fn wrong(name: &str, problem: impl Into<String>) -> InvalidShape {
    InvalidShape::Parameter { name: name.chars().take(192).collect(), problem: problem.into() }
}

/// Checks the `mandatoryParameters` of CreateCommand.
pub fn check_declared(declared: &[MandatoryParameter]) -> Result<(), InvalidShape> {
    if declared.is_empty() {
        let expected = "at least 1";
        return Err(InvalidShape::Length { member: "mandatoryParameters", actual: 0, expected });
    }
    let mut names = BTreeSet::new();
    for parameter in declared {
        check_name(&parameter.name)?;
        if !names.insert(parameter.name.as_str()) {
            return Err(wrong(&parameter.name, "is declared twice"));
        }
        parameter.check()?;
    }
    Ok(())
}

/// The values of an execution, from those that its start gives and those that are declared.
///
/// A static command (`is_dynamic` false) takes names that it does not declare, too; a dynamic one refuses
/// them, for they would go nowhere.
pub fn effective<'a>(
    declared: &[MandatoryParameter],
    given: Option<&'a Parameters>,
    is_dynamic: bool,
) -> Result<Option<Cow<'a, Parameters>>, InvalidShape> {
    if is_dynamic
        && let Some(name) = given.and_then(|given| given.keys().find(|name| !declares(declared, name)))
    {
        return Err(wrong(name, "is no parameter of this command"));
    }
    if declared.is_empty() {
        return Ok(given.map(Cow::Borrowed));
    }
    let mut all = given.cloned().unwrap_or_default();
    for parameter in declared {
        let value = all.get(&parameter.name);
        let value = value.or(parameter.value.as_ref()).or(parameter.default_value.as_ref());
        let value = value.ok_or_else(|| wrong(&parameter.name, "has no value and no default"))?;
        parameter.check_value(value)?;
        if !all.contains_key(&parameter.name) {
            let value = value.clone();
            all.insert(parameter.name.clone(), value);
        }
    }
    Ok(Some(Cow::Owned(all)))
}

fn declares(declared: &[MandatoryParameter], name: &str) -> bool {
    declared.iter().any(|parameter| parameter.name == name)
}

impl MandatoryParameter {
    /// Its type, if it is known before there is a value.
    fn kind(&self) -> Option<ParameterType> {
        let value = self.value.as_ref().or(self.default_value.as_ref());
        self.kind.or_else(|| value.map(ParameterType::of))
    }

    fn check(&self) -> Result<(), InvalidShape> {
        if let Some(description) = &self.description
            && (description.chars().count() > MAX_DESCRIPTION || !text::is_printable(description))
        {
            let problem = "has a description of more than 2028 characters, or with control characters";
            return Err(wrong(&self.name, problem));
        }
        for value in [&self.value, &self.default_value].into_iter().flatten() {
            value.validate()?;
            self.check_type(value)?;
        }
        let conditions = self.value_conditions.as_deref();
        if conditions.is_some_and(<[_]>::is_empty) {
            return Err(wrong(&self.name, "has an empty list of valueConditions, expected at least 1"));
        }
        conditions.unwrap_or_default().iter().try_for_each(|condition| {
            condition.sound(self.kind()).map(drop).map_err(|problem| wrong(&self.name, problem))
        })
    }

    fn check_type(&self, value: &ParameterValue) -> Result<(), InvalidShape> {
        let given = ParameterType::of(value);
        match self.kind() {
            Some(kind) if kind != given => {
                let problem = format!("has a value of type {}, expected {}", given.name(), kind.name());
                Err(wrong(&self.name, problem))
            }
            _ => Ok(()),
        }
    }

    fn check_value(&self, value: &ParameterValue) -> Result<(), InvalidShape> {
        self.check_type(value)?;
        let kind = ParameterType::of(value);
        for condition in self.value_conditions.iter().flatten() {
            let sound = condition.sound(Some(kind)).map_err(|problem| wrong(&self.name, problem))?;
            if !condition.holds(value, &sound) {
                let operator = condition.comparison_operator.name();
                return Err(wrong(&self.name, format!("has a value that its condition {operator} refuses")));
            }
        }
        Ok(())
    }
}

impl ComparisonOperator {
    fn name(self) -> &'static str {
        match self {
            Self::Equals => "EQUALS",
            Self::NotEquals => "NOT_EQUALS",
            Self::LessThan => "LESS_THAN",
            Self::LessThanEquals => "LESS_THAN_EQUALS",
            Self::GreaterThan => "GREATER_THAN",
            Self::GreaterThanEquals => "GREATER_THAN_EQUALS",
            Self::InSet => "IN_SET",
            Self::NotInSet => "NOT_IN_SET",
            Self::InRange => "IN_RANGE",
            Self::NotInRange => "NOT_IN_RANGE",
        }
    }

    fn is_for_texts(self) -> bool {
        matches!(self, Self::Equals | Self::NotEquals | Self::InSet | Self::NotInSet)
    }
}

impl ValueCondition {
    /// The operand, if operator, operand and (where it is known) type fit together.
    fn sound(&self, kind: Option<ParameterType>) -> Result<Sound<'_>, String> {
        use ComparisonOperator as C;
        let operator = self.comparison_operator;
        let name = operator.name();
        let Operand { number, numbers, string, strings, number_range } = &self.operand;
        let given = [
            number.is_some(),
            numbers.is_some(),
            string.is_some(),
            strings.is_some(),
            number_range.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(format!(
                "has a condition {name} whose operand is not exactly one of number, numbers, string, strings \
                 and numberRange"
            ));
        }
        let read = |text: &String| {
            Number::read(text)
                .ok_or_else(|| format!("has a condition {name} with \"{text}\", which is no number"))
        };
        let bounded = |count: usize| {
            let fits = (1..=MAX_SET).contains(&count);
            fits.then_some(())
                .ok_or_else(|| format!("has a condition {name} with {count} values, expected 1 to 10"))
        };
        let is_set = matches!(operator, C::InSet | C::NotInSet);
        let is_range = matches!(operator, C::InRange | C::NotInRange);
        let sound = match &self.operand {
            Operand { number: Some(number), .. } if !is_set && !is_range => {
                Sound::Numbers(vec![read(number)?])
            }
            Operand { numbers: Some(numbers), .. } if is_set => {
                bounded(numbers.len())?;
                Sound::Numbers(numbers.iter().map(read).collect::<Result<_, _>>()?)
            }
            Operand { number_range: Some(NumberRange { min, max }), .. } if is_range => {
                let (least, most) = (read(min)?, read(max)?);
                if least.compare(most) == Ordering::Greater {
                    return Err(format!("has a condition {name} whose min, {min}, is above its max, {max}"));
                }
                Sound::Range(least, most)
            }
            Operand { string: Some(string), .. } if operator.is_for_texts() && !is_set => {
                Sound::Texts(vec![string])
            }
            Operand { strings: Some(strings), .. } if is_set => {
                bounded(strings.len())?;
                Sound::Texts(strings.iter().map(String::as_str).collect())
            }
            _ => return Err(format!("has a condition {name} with an operand that is none for it")),
        };
        let fits = match (kind, &sound) {
            (None, _) => true,
            (Some(kind), Sound::Texts(_)) => kind == ParameterType::String,
            (Some(kind), Sound::Numbers(_) | Sound::Range(..)) => kind.is_numeric(),
        };
        match kind {
            Some(kind) if !fits => {
                Err(format!("is of type {}, for which its condition {name} is none", kind.name()))
            }
            _ => Ok(sound),
        }
    }

    fn holds(&self, value: &ParameterValue, operand: &Sound<'_>) -> bool {
        use ComparisonOperator as C;
        let operator = self.comparison_operator;
        match (operand, value) {
            (Sound::Texts(texts), ParameterValue::S(text)) => {
                texts.contains(&text.as_str()) == matches!(operator, C::Equals | C::InSet)
            }
            (Sound::Texts(_), _) => false,
            (Sound::Numbers(numbers), value) => {
                let Some(value) = Number::of(value) else { return false };
                let mut orders = numbers.iter().map(|number| value.compare(*number));
                match operator {
                    C::Equals | C::InSet => orders.any(Ordering::is_eq),
                    C::NotEquals | C::NotInSet => !orders.any(Ordering::is_eq),
                    C::LessThan => orders.all(Ordering::is_lt),
                    C::LessThanEquals => orders.all(Ordering::is_le),
                    C::GreaterThan => orders.all(Ordering::is_gt),
                    C::GreaterThanEquals => orders.all(Ordering::is_ge),
                    C::InRange | C::NotInRange => false,
                }
            }
            (Sound::Range(least, most), value) => {
                let Some(value) = Number::of(value) else { return false };
                let inside = value.compare(*least).is_ge() && value.compare(*most).is_le();
                inside == (operator == C::InRange)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(json: &str) -> MandatoryParameter {
        serde_json::from_str(json).unwrap()
    }

    fn value(json: &str) -> ParameterValue {
        serde_json::from_str(json).unwrap()
    }

    /// Rows: type, operator and operand, values that pass, values that do not.
    #[test]
    fn every_operator_decides_as_it_is_called() {
        for (kind, condition, passes, fails) in [
            ("INTEGER", r#""EQUALS","operand":{"number":"7"}"#, &[r#"{"I":7}"#][..], &[r#"{"I":8}"#][..]),
            ("INTEGER", r#""NOT_EQUALS","operand":{"number":"7"}"#, &[r#"{"I":-7}"#], &[r#"{"I":7}"#]),
            ("LONG", r#""LESS_THAN","operand":{"number":"7.5"}"#, &[r#"{"L":7}"#], &[r#"{"L":8}"#]),
            ("LONG", r#""LESS_THAN_EQUALS","operand":{"number":"7"}"#, &[r#"{"L":7}"#], &[r#"{"L":8}"#]),
            (
                "UNSIGNEDLONG",
                r#""GREATER_THAN","operand":{"number":"18446744073709551614"}"#,
                &[r#"{"UL":"18446744073709551615"}"#],
                &[r#"{"UL":"18446744073709551614"}"#],
            ),
            (
                "DOUBLE",
                r#""GREATER_THAN_EQUALS","operand":{"number":"0.5"}"#,
                &[r#"{"D":0.5}"#, r#"{"D":1}"#],
                &[r#"{"D":0.49}"#],
            ),
            ("INTEGER", r#""IN_SET","operand":{"numbers":["1","3"]}"#, &[r#"{"I":3}"#], &[r#"{"I":2}"#]),
            ("INTEGER", r#""NOT_IN_SET","operand":{"numbers":["1","3"]}"#, &[r#"{"I":2}"#], &[r#"{"I":3}"#]),
            (
                "INTEGER",
                r#""IN_RANGE","operand":{"numberRange":{"min":"60","max":"80"}}"#,
                &[r#"{"I":60}"#, r#"{"I":80}"#],
                &[r#"{"I":59}"#, r#"{"I":81}"#],
            ),
            (
                "DOUBLE",
                r#""NOT_IN_RANGE","operand":{"numberRange":{"min":"60","max":"80"}}"#,
                &[r#"{"D":80.001}"#, r#"{"D":-1}"#],
                &[r#"{"D":60}"#, r#"{"D":80}"#],
            ),
            ("STRING", r#""EQUALS","operand":{"string":"ON"}"#, &[r#"{"S":"ON"}"#], &[r#"{"S":"on"}"#]),
            ("STRING", r#""NOT_EQUALS","operand":{"string":"ON"}"#, &[r#"{"S":"on"}"#], &[r#"{"S":"ON"}"#]),
            ("STRING", r#""IN_SET","operand":{"strings":["a","b"]}"#, &[r#"{"S":"b"}"#], &[r#"{"S":"c"}"#]),
            ("STRING", r#""NOT_IN_SET","operand":{"strings":["a"]}"#, &[r#"{"S":"c"}"#], &[r#"{"S":"a"}"#]),
        ] {
            let json = format!(
                r#"{{"name":"p","type":"{kind}","valueConditions":[{{"comparisonOperator":{condition}}}]}}"#
            );
            let parameter = declared(&json);
            assert_eq!(check_declared(std::slice::from_ref(&parameter)), Ok(()), "{json}");
            assert_eq!(serde_json::to_string(&parameter).unwrap(), json);
            for text in passes {
                assert_eq!(parameter.check_value(&value(text)), Ok(()), "{json} {text}");
            }
            for text in fails {
                assert!(parameter.check_value(&value(text)).is_err(), "{json} {text}");
            }
        }
    }

    #[test]
    fn a_declaration_that_cannot_hold_is_refused() {
        let condition =
            |kind: &str, rest: &str| format!(r#"{{"name":"p","type":"{kind}","valueConditions":[{rest}]}}"#);
        for json in [
            r#"{"name":"a b"}"#.to_owned(),
            r#"{"type":"STRING"}"#.to_owned(),
            r#"{"name":"p","type":"INTEGER","defaultValue":{"S":"1"}}"#.to_owned(),
            r#"{"name":"p","type":"STRING","defaultValue":{"S":""}}"#.to_owned(),
            r#"{"name":"p","value":{"I":1},"defaultValue":{"S":"a"}}"#.to_owned(),
            format!(r#"{{"name":"p","description":"{}"}}"#, "d".repeat(2029)),
            r#"{"name":"p","valueConditions":[]}"#.to_owned(),
            condition("BOOLEAN", r#"{"comparisonOperator":"EQUALS","operand":{"string":"true"}}"#),
            condition("BINARY", r#"{"comparisonOperator":"EQUALS","operand":{"string":"a"}}"#),
            condition("STRING", r#"{"comparisonOperator":"LESS_THAN","operand":{"string":"a"}}"#),
            condition("STRING", r#"{"comparisonOperator":"EQUALS","operand":{"number":"1"}}"#),
            condition("INTEGER", r#"{"comparisonOperator":"EQUALS","operand":{"string":"a"}}"#),
            condition("INTEGER", r#"{"comparisonOperator":"EQUALS","operand":{"number":"seven"}}"#),
            condition("INTEGER", r#"{"comparisonOperator":"EQUALS","operand":{}}"#),
            condition(
                "INTEGER",
                r#"{"comparisonOperator":"EQUALS","operand":{"number":"1","numbers":["1"]}}"#,
            ),
            condition("INTEGER", r#"{"comparisonOperator":"IN_SET","operand":{"number":"1"}}"#),
            condition("INTEGER", r#"{"comparisonOperator":"IN_SET","operand":{"numbers":[]}}"#),
            condition(
                "INTEGER",
                r#"{"comparisonOperator":"IN_RANGE","operand":{"numberRange":{"min":"2","max":"1"}}}"#,
            ),
        ] {
            assert!(check_declared(&[declared(&json)]).is_err(), "{json}");
        }
        assert!(check_declared(&[]).is_err());
        let twice = declared(r#"{"name":"p"}"#);
        assert!(check_declared(&[twice.clone(), twice]).is_err());
    }

    #[test]
    fn a_value_is_the_starts_or_the_commands_or_the_default() {
        let all = [
            declared(r#"{"name":"a","type":"INTEGER","value":{"I":2},"defaultValue":{"I":3}}"#),
            declared(r#"{"name":"b","defaultValue":{"S":"x"}}"#),
            declared(r#"{"name":"c","type":"BOOLEAN"}"#),
        ];
        let given = Parameters::from([("c".to_owned(), ParameterValue::B(true))]);
        let values = effective(&all, Some(&given), true).unwrap().unwrap();
        assert_eq!(serde_json::to_string(&*values).unwrap(), r#"{"a":{"I":2},"b":{"S":"x"},"c":{"B":true}}"#);

        let problem = effective(&all, None, true).unwrap_err().to_string();
        assert_eq!(problem, "parameter `c` has no value and no default");
        let wrong = Parameters::from([
            ("c".to_owned(), ParameterValue::B(true)),
            ("a".to_owned(), ParameterValue::S("1".into())),
        ]);
        let problem = effective(&all, Some(&wrong), true).unwrap_err().to_string();
        assert_eq!(problem, "parameter `a` has a value of type STRING, expected INTEGER");

        let other = Parameters::from([("other".to_owned(), ParameterValue::B(true))]);
        assert!(effective(&[], Some(&other), true).is_err(), "it would go nowhere");
        assert_eq!(effective(&[], Some(&other), false).unwrap().as_deref(), Some(&other));
        assert_eq!(effective(&[], None, false), Ok(None));
    }
}

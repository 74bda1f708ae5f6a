//! How the registers of a record are stored: grouped by the change that wrote them, so that its stamp, digest and time
//! are stored once, and not for each field.
//!
//! Earlier versions stored each register separately. Such records are still read, and are converted when their user
//! changes.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::{Register, Registers};
use crate::domain::Field;

/// What one change wrote: its stamp, its digest, the fields, and the provider's time of the event.
#[derive(Deserialize)]
struct Read(i64, u64, BTreeMap<Field, Value>, #[serde(default)] Option<i64>);

/// The same, to be written.
#[derive(Serialize)]
struct Written<'a>(
    i64,
    u64,
    BTreeMap<Field, &'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")] Option<i64>,
);

pub(super) fn serialize<S: Serializer>(registers: &Registers, serializer: S) -> Result<S::Ok, S::Error> {
    let mut changes: BTreeMap<_, BTreeMap<Field, &Value>> = BTreeMap::new();
    for (field, Register(stamp, digest, value, event_time)) in registers {
        changes.entry((*stamp, *event_time, *digest)).or_default().insert(*field, value);
    }
    serializer.collect_seq(
        changes
            .into_iter()
            .map(|((stamp, event_time, digest), fields)| Written(stamp, digest, fields, event_time)),
    )
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Registers, D::Error> {
    deserializer.deserialize_any(EitherForm)
}

struct EitherForm;

impl<'de> Visitor<'de> for EitherForm {
    type Value = Registers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of changes, or a map of registers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut changes: A) -> Result<Registers, A::Error> {
        let mut registers = Registers::new();
        while let Some(Read(stamp, digest, fields, event_time)) = changes.next_element()? {
            let register = |(field, value)| (field, Register(stamp, digest, value, event_time));
            registers.extend(fields.into_iter().map(register));
        }
        Ok(registers)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut by_field: A) -> Result<Registers, A::Error> {
        let mut registers = Registers::new();
        while let Some((field, register)) = by_field.next_entry()? {
            registers.insert(field, register);
        }
        Ok(registers)
    }
}

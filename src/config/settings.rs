//! A setting is one field of one struct. [`settings!`] makes everything else of it: its key, its default, how it
//! is read, its line in `default.toml`, its row in `docs/configuration.md` and its place in the JSON Schema.

use secrecy::SecretString;

use super::error::{ValueError, fault};
use super::key::Shape;
use super::slot::Slot;

/// How the value of a setting is read. Usually a type is its own kind; `as Kind` names another one.
pub(super) trait Kind {
    type Value;
    const SHAPE: Shape;

    /// The value at this place; `None` if there is none, or if it is wrong, which is then reported.
    fn read(slot: &Slot<'_>) -> Option<Self::Value>;

    /// The value in TOML, for the generated documents; `None` if it is left out there.
    #[cfg(test)]
    fn show(_value: &Self::Value) -> Option<String> {
        None
    }
}

/// Declares a struct of settings. Each field is written
///
/// ```text
/// /// What it is for. The first paragraph is its comment in default.toml.
/// #[key = "applicationID"]             only if the key is not called as the field is
/// #[required = "what to write"]        only if it must be set
/// #[example = "\"10.0.0.0/8\""]        in TOML, for a key without a default
/// field: Type as Kind = default,       `as Kind` and `= default` may be left out
/// ```
///
/// A default that is left out is the type's own. It also replaces a refused value; it is never used, because then
/// loading returns errors. With `check = function` after the name, the function gets the place and the value, to report
/// values that contradict each other.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(, check = $check:path)? {
            $(
                $(#[doc = $doc:literal])*
                $(#[key = $key:literal])?
                $(#[required = $required:literal])?
                $(#[example = $example:literal])?
                $field_vis:vis $field:ident: $type:ty $(as $kind:ty)? $(= $default:expr)?,
            )*
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[doc = $doc])* $field_vis $field: $type,)*
        }

        impl $crate::config::settings::Kind for $name {
            type Value = Self;
            const SHAPE: $crate::config::key::Shape = $crate::config::key::Shape::Table(&[
                $($crate::config::key::Key {
                    name: settings!(@or [stringify!($field)] $($key)?),
                    shape: <settings!(@kind $type $(, $kind)?) as $crate::config::settings::Kind>::SHAPE,
                    #[cfg(test)]
                    about: $crate::config::key::About {
                        doc: &[$($doc),*],
                        is_required: settings!(@is_some $($required)?),
                        example: settings!(@option $($example)?),
                        default: || <settings!(@kind $type $(, $kind)?) as $crate::config::settings::Kind>::show(
                            &Self::default().$field,
                        ),
                    },
                },)*
            ]);

            fn read(slot: &$crate::config::slot::Slot<'_>) -> Option<Self> {
                let settings = Self {
                    $($field: {
                        let slot = slot.key(settings!(@or [stringify!($field)] $($key)?));
                        $(slot.require($required);)?
                        $crate::config::settings::read_or::<settings!(@kind $type $(, $kind)?)>(
                            &slot,
                            settings!(@or [Default::default()] $($default)?),
                        )
                    },)*
                };
                $($check(slot, &settings);)?
                Some(settings)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: settings!(@or [Default::default()] $($default)?),)* }
            }
        }
    };
    (@or [$otherwise:expr] $given:expr) => { $given };
    (@or [$otherwise:expr]) => { $otherwise };
    (@kind $type:ty) => { $type };
    (@kind $type:ty, $kind:ty) => { $kind };
    (@is_some) => { false };
    (@is_some $given:literal) => { true };
    (@option) => { None };
    (@option $given:literal) => { Some($given) };
}
pub(super) use settings;

/// What is set here, or the default.
pub(super) fn read_or<K: Kind>(slot: &Slot<'_>, default: K::Value) -> K::Value {
    K::read(slot).unwrap_or(default)
}

/// A kind whose values are parsed from one string; with how they are shown again.
macro_rules! parsed {
    ($kind:ty as $value:ty, $shape:ident $(($least:literal))?, $parse:expr, $show:expr) => {
        impl $crate::config::settings::Kind for $kind {
            type Value = $value;
            const SHAPE: $crate::config::key::Shape = $crate::config::key::Shape::$shape$(($least))?;

            fn read(slot: &$crate::config::slot::Slot<'_>) -> Option<$value> {
                slot.parse($parse)
            }

            #[cfg(test)]
            fn show(value: &$value) -> Option<String> {
                Some(($show)(value))
            }
        }
    };
}
pub(super) use parsed;

/// An enum whose values are written as one of a few words.
macro_rules! choices {
    ($kind:ty, $what:literal, $($word:literal => $value:expr),+ $(,)?) => {
        impl $crate::config::settings::Kind for $kind {
            type Value = Self;
            const SHAPE: $crate::config::key::Shape = $crate::config::key::Shape::Choice(&[$($word),+]);

            fn read(slot: &$crate::config::slot::Slot<'_>) -> Option<Self> {
                slot.parse(|text| {
                    let choices = [$(($word, $value)),+];
                    $crate::config::settings::choose(text, $what, &choices)
                })
            }

            #[cfg(test)]
            fn show(value: &Self) -> Option<String> {
                [$(($word, $value)),+].iter().find(|(_, it)| it == value).map(|(word, _)| format!("{word:?}"))
            }
        }
    };
}
pub(super) use choices;

/// The choice of this name.
pub(super) fn choose<T: Copy>(text: &str, what: &str, choices: &[(&str, T)]) -> Result<T, ValueError> {
    choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        fault(format!("`{text}` is not {what}"), format!("write {}", words.join(" or ")))
    })
}

impl<K: Kind> Kind for Option<K> {
    type Value = Option<K::Value>;
    const SHAPE: Shape = K::SHAPE;

    fn read(slot: &Slot<'_>) -> Option<Self::Value> {
        Some(if slot.is_set() { K::read(slot) } else { None })
    }

    #[cfg(test)]
    fn show(value: &Self::Value) -> Option<String> {
        value.as_ref().and_then(K::show)
    }
}

/// A list; what is wrong in it is reported and left out.
impl<K: Kind> Kind for Vec<K> {
    type Value = Vec<K::Value>;
    const SHAPE: Shape = Shape::List(&K::SHAPE);

    fn read(slot: &Slot<'_>) -> Option<Self::Value> {
        Some(slot.elements().filter_map(|element| K::read(&element)).collect())
    }

    #[cfg(test)]
    fn show(value: &Self::Value) -> Option<String> {
        let elements: Option<Vec<_>> = value.iter().map(K::show).collect();
        elements.map(|elements| format!("[{}]", elements.join(", ")))
    }
}

impl Kind for bool {
    type Value = Self;
    const SHAPE: Shape = Shape::Flag;

    fn read(slot: &Slot<'_>) -> Option<Self> {
        slot.flag()
    }

    #[cfg(test)]
    fn show(value: &Self) -> Option<String> {
        Some(value.to_string())
    }
}

parsed!(String as String, Text, |text| Ok(text.to_owned()), |value: &String| format!("{value:?}"));

impl Kind for SecretString {
    type Value = Self;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<Self> {
        slot.secret()
    }
}

/// A value and where it is, for what can be checked only later.
#[derive(Clone)]
pub(super) struct Located<T> {
    pub(super) path: String,
    pub(super) value: T,
}

impl<K: Kind> Kind for Located<K> {
    type Value = Located<K::Value>;
    const SHAPE: Shape = K::SHAPE;

    fn read(slot: &Slot<'_>) -> Option<Self::Value> {
        K::read(slot).map(|value| Located { path: slot.path().to_owned(), value })
    }
}

/// A list that must not be empty where it is set: an empty one looks like a check, but checks nothing.
pub(super) struct NonEmptyList<K>(std::marker::PhantomData<K>);

impl<K: Kind> Kind for NonEmptyList<K> {
    type Value = Vec<K::Value>;
    const SHAPE: Shape = Shape::List(&K::SHAPE);

    fn read(slot: &Slot<'_>) -> Option<Self::Value> {
        if !slot.is_set() {
            return None;
        }
        if slot.is_empty_list() {
            slot.refuse(fault("is an empty list", "name one at least, or leave it out"));
        }
        Vec::<K>::read(slot)
    }

    #[cfg(test)]
    fn show(value: &Self::Value) -> Option<String> {
        Vec::<K>::show(value)
    }
}

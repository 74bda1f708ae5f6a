//! Documents with something changed in them, as they come from a broken or hostile sender.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::Index;

#[derive(Clone, Debug)]
enum Edit {
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Truncate(Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |index: &Index| index.index(bytes.len() + 1);
        match self {
            Self::Replace(index, byte) => {
                let at = at(index);
                bytes.get_mut(at).into_iter().for_each(|old| *old = *byte);
            }
            Self::Insert(index, new) => drop(bytes.splice(at(index)..at(index), new.iter().copied())),
            Self::Remove(index, length) => {
                let range = at(index)..(at(index) + length).min(bytes.len());
                drop(bytes.drain(range));
            }
            Self::Repeat(index, length) => {
                let again = bytes[at(index)..(at(index) + length).min(bytes.len())].to_vec();
                drop(bytes.splice(at(index)..at(index), again));
            }
            Self::Truncate(index) => bytes.truncate(at(index)),
        }
    }
}

/// The document after one to five edits.
pub(crate) fn mutated(document: String) -> impl Strategy<Value = Vec<u8>> {
    let index = any::<Index>;
    let edit = prop_oneof![
        (index(), any::<u8>()).prop_map(|(index, byte)| Edit::Replace(index, byte)),
        (index(), vec(any::<u8>(), 1..6)).prop_map(|(index, new)| Edit::Insert(index, new)),
        (index(), "[\\[\\]{}\",:.0-9eE-]{1,4}")
            .prop_map(|(index, new)| Edit::Insert(index, new.into_bytes())),
        (index(), 1..40_usize).prop_map(|(index, length)| Edit::Remove(index, length)),
        (index(), 1..40_usize).prop_map(|(index, length)| Edit::Repeat(index, length)),
        index().prop_map(Edit::Truncate),
    ];
    vec(edit, 1..6).prop_map(move |edits| {
        let mut bytes = document.clone().into_bytes();
        for edit in &edits {
            edit.apply(&mut bytes);
        }
        bytes
    })
}

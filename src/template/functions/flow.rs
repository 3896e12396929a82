//! Ending a rendering on purpose.

use super::{Function, Type, fixed};
use crate::template::error::Fault;

pub(super) const FUNCTIONS: &[Function] = &[fixed("fail", &[Type::Text], |_, a| {
    Err(Fault::with_value(a.str(0).into_owned(), "its message is withheld, because it may hold decrypted values"))
})];

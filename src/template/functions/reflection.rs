//! Questions about Go's types.

use super::compare::deep_equal;
use super::{Function, Type, fixed};
use crate::template::value::Value;

use Type::{Any, Text as Str};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("typeOf", &[Any], |_, a| Ok(Value::text(a.any(0).type_name()))),
    fixed("typeIs", &[Str, Any], |_, a| Ok(Value::Bool(a.bytes(0) == a.any(1).type_name().as_bytes()))),
    fixed("typeIsLike", &[Str, Any], |_, a| {
        let name = a.any(1).type_name();
        let wanted = a.str(0);
        Ok(Value::Bool(wanted == name || name.strip_prefix('*') == Some(&*wanted)))
    }),
    fixed("kindOf", &[Any], |_, a| Ok(Value::text(a.any(0).kind_name()))),
    fixed("kindIs", &[Str, Any], |_, a| Ok(Value::Bool(a.bytes(0) == a.any(1).kind_name().as_bytes()))),
    fixed("deepEqual", &[Any, Any], |_, a| Ok(Value::Bool(deep_equal(a.any(0), a.any(1), 0)?))),
];

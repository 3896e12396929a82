//! Versions.

use std::rc::Rc;

use super::{Arguments, Function, Type, fixed};
use crate::template::error::Fault;
use crate::template::semver::{Constraint, Version};
use crate::template::value::Value;

use Type::Text as Str;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("semver", &[Str], |_, a| Ok(Value::Version(Rc::new(version(a, 0)?)))),
    fixed("semverCompare", &[Str, Str], |_, a| {
        let constraint = Constraint::parse(&a.str(0)).map_err(|(full, shown)| Fault::with_value(full, shown))?;
        Ok(Value::Bool(constraint.admits(&version(a, 1)?)))
    }),
];

fn version(arguments: &Arguments<'_>, at: usize) -> Result<Version, Fault> {
    Version::parse(&arguments.str(at)).map_err(|full| Fault::with_value(full, "invalid semantic version"))
}

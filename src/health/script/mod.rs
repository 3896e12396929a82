//! Health checks in Lua, in a sandbox that ends. A pure function of script, object, limits and the time that it is told.
//!
//! ```text
//! script + object ──> new VM: few libraries, counted instructions, bounded memory, bounded patterns ──> status, message
//! ```
//!
//! What a script could use to live for ever or to reach the host does not exist in the VM: `io`, `require`, `load`, `pcall`
//! (which would catch the limits), coroutines (which would run without them).
//!
//! Source: Argo CD 3.5, health scripts (reference section 7.5).

mod patterns;
mod sandbox;
#[cfg(test)]
mod tests;

use mlua::{LuaSerdeExt as _, Value as LuaValue, serde::ser::Options};

use super::{Health, HealthCode};
use crate::advice::{Advice, Remedy};
use crate::customisation::HealthScript;
use crate::resource::Object;

/// Bounds of one run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Steps: about one per instruction, and one per step inside a pattern match or per 16 bytes of new memory.
    pub steps: u64,
    /// Memory of the VM in bytes, with the object.
    pub memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Bundled checks of the field need below 20,000 steps; this is below a second everywhere.
        Self { steps: 10_000_000, memory_bytes: 32 << 20 }
    }
}

/// Why a script gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It is no Lua, or ended with an error.
    #[error("{0}")]
    Failed(String),
    /// It did not end within its steps.
    #[error("the health script was stopped after {0} steps")]
    TooLong(u64),
    /// It wanted more memory than it may have.
    #[error("the health script was stopped: it needs more than {0} bytes of memory")]
    TooLarge(usize),
    /// It gave back something else than a table.
    #[error("expect table output from Lua script, not {0}")]
    NotATable(&'static str),
}

impl Advice for ScriptError {
    fn remedy(&self) -> Remedy {
        Remedy::FixInput
    }

    fn hint(&self) -> Option<String> {
        Some("try it with `kubectl gitops check health -f OBJECT.yaml --config argocd-cm.yaml`".into())
    }
}

/// Runs a health script over a live object. `None` when it gives no status, which is neutral.
///
/// `now` is what `os.time()` answers, in seconds since 1970.
///
/// # Errors
/// The script fails, does not end, or gives back no table. Running it again on the same object cannot help.
pub fn run(script: &HealthScript, object: &Object, limits: Limits, now: i64) -> Result<Option<Health>, ScriptError> {
    let sandbox = sandbox::Sandbox::new(script.open_libs, limits, now)?;
    let options = Options::new().serialize_none_to_null(false).serialize_unit_to_null(false).set_array_metatable(false);
    let value = sandbox.lua.to_value_with(&object.0, options).map_err(|error| sandbox.explain(&error))?;
    let answer = sandbox.run(&script.source, value)?;
    verdict(answer)
}

fn verdict(answer: LuaValue) -> Result<Option<Health>, ScriptError> {
    let table = match answer {
        LuaValue::Nil => return Ok(None),
        LuaValue::Table(table) => table,
        other => return Err(ScriptError::NotATable(other.type_name())),
    };
    if table.is_empty() {
        return Ok(None);
    }
    let field = |name: &str| table.raw_get::<LuaValue>(name).unwrap_or(LuaValue::Nil);
    let text = |value: &LuaValue| match value {
        LuaValue::Nil => Some(String::new()),
        LuaValue::String(text) => Some(text.to_string_lossy()),
        _ => None,
    };
    // Argo CD decodes a table with a field of another type as if it were empty.
    let (Some(status), Some(message)) = (text(&field("status")), text(&field("message"))) else { return Ok(None) };
    Ok(Some(match status.parse::<HealthCode>() {
        Ok(status) => Health::new(status, message),
        Err(_) => Health::new(HealthCode::Unknown, "Lua returned an invalid health status"),
    }))
}

//! The VM: what a script finds in it, and what stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mlua::{Function, HookTriggers, Lua, LuaOptions, StdLib, Table, Value, VmState};

use super::patterns::{self, Exceeded};
use super::{Limits, ScriptError};

/// How many instructions pass between two looks at the counters.
const STRIDE: u32 = 100;

/// Globals of the base library that a script may use.
const BASE: &[&str] = &[
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "_VERSION",
    "_G",
];

const OUT_OF_STEPS: &str = "out of steps";

pub(super) struct Sandbox {
    pub(super) lua: Lua,
    limits: Limits,
    spent: Arc<AtomicU64>,
}

impl Sandbox {
    pub(super) fn new(open_libs: bool, limits: Limits, now: i64) -> Result<Self, ScriptError> {
        // Without the library `jit` nothing is compiled to machine code, so the counting of instructions never pauses.
        let libs = if open_libs { StdLib::TABLE | StdLib::STRING | StdLib::MATH } else { StdLib::TABLE };
        let failed = |error: mlua::Error| ScriptError::Failed(error.to_string());
        let lua = Lua::new_with(libs, LuaOptions::new()).map_err(failed)?;
        let sandbox = Self { lua, limits, spent: Arc::default() };
        sandbox.lua.set_memory_limit(limits.memory_bytes).map_err(failed)?;
        sandbox.count().map_err(failed)?;
        sandbox.close(now).map_err(failed)?;
        if open_libs {
            sandbox.guard_strings().map_err(failed)?;
        }
        Ok(sandbox)
    }

    /// Runs a script with the object as `obj`.
    pub(super) fn run(&self, source: &str, object: Value) -> Result<Value, ScriptError> {
        let run = || {
            let globals = self.lua.globals();
            globals.raw_set("obj", object)?;
            globals.raw_set("actionParams", self.lua.create_table()?)?;
            // Text only: byte code could do anything.
            self.lua.load(source).set_name("=<string>").set_mode(mlua::chunk::ChunkMode::Text).call::<Value>(())
        };
        run().map_err(|error| self.explain(&error))
    }

    pub(super) fn explain(&self, error: &mlua::Error) -> ScriptError {
        if self.spent.load(Ordering::Relaxed) > self.limits.steps {
            return ScriptError::TooLong(self.limits.steps);
        }
        match error {
            mlua::Error::MemoryError(_) => ScriptError::TooLarge(self.limits.memory_bytes),
            mlua::Error::RuntimeError(text) | mlua::Error::SyntaxError { message: text, .. } => {
                ScriptError::Failed(text.split("\nstack traceback").next().unwrap_or_default().to_owned())
            }
            mlua::Error::CallbackError { cause, .. } => self.explain(cause),
            other => ScriptError::Failed(other.to_string()),
        }
    }

    fn count(&self) -> mlua::Result<()> {
        let (spent, limit) = (Arc::clone(&self.spent), self.limits.steps);
        let memory = AtomicU64::new(0);
        self.lua.set_hook(HookTriggers::new().every_nth_instruction(STRIDE), move |lua, _| {
            // Building large texts again and again costs few instructions and much time.
            let used = lua.used_memory() as u64;
            let grown = used.saturating_sub(memory.swap(used, Ordering::Relaxed));
            charge(&spent, limit, u64::from(STRIDE) + grown / 16).map(|()| VmState::Continue)
        })
    }

    /// Leaves only what is known to be harmless.
    fn close(&self, now: i64) -> mlua::Result<()> {
        let globals = self.lua.globals();
        let names: Vec<String> = globals.pairs::<String, Value>().filter_map(Result::ok).map(|(name, _)| name).collect();
        let libraries = ["table", "string", "math"];
        for name in names.iter().filter(|name| !BASE.contains(&name.as_str()) && !libraries.contains(&name.as_str())) {
            globals.raw_set(name.as_str(), Value::Nil)?;
        }
        // Nobody reads what a script prints.
        globals.raw_set("print", self.lua.create_function(|_, _: mlua::MultiValue| Ok(()))?)?;
        globals.raw_set("os", self.clock(now)?)
    }

    /// `os.time` and `os.date`; the time is the one that we were told.
    fn clock(&self, now: i64) -> mlua::Result<Table> {
        let os = self.lua.create_table()?;
        os.raw_set("time", self.lua.create_function(move |_, parts: Option<Table>| Ok(time(parts.as_ref(), now)))?)?;
        let date = self.lua.create_function(move |_, (format, at): (Option<String>, Option<i64>)| {
            Ok(date(format.as_deref().unwrap_or("%c"), at.unwrap_or(now)))
        })?;
        os.raw_set("date", date)?;
        Ok(os)
    }

    /// Pattern matching runs in C, where no instruction is counted: each call is walked through with a counter first.
    fn guard_strings(&self) -> mlua::Result<()> {
        let string: Table = self.lua.globals().raw_get("string")?;
        string.raw_set("dump", Value::Nil)?;
        let (spent, limit) = (Arc::clone(&self.spent), self.limits.steps);
        let check = self.lua.create_function(move |_, (text, pattern): (Value, Value)| {
            let (Some(text), Some(pattern)) = (bytes(&text), bytes(&pattern)) else { return Ok(()) };
            let left = limit.saturating_sub(spent.load(Ordering::Relaxed));
            match patterns::steps(&text, &pattern, left) {
                Ok(steps) => charge(&spent, limit, steps),
                Err(Exceeded) => charge(&spent, limit, left + 1),
            }
        })?;
        let (spent, limit) = (Arc::clone(&self.spent), self.limits.steps);
        let weigh = self.lua.create_function(move |_, (text, times): (Value, Value)| {
            let length = bytes(&text).map_or(0, |text| text.len() as u64);
            let times = times.as_integer().or_else(|| times.as_number().map(|number| number as i64)).unwrap_or(0);
            charge(&spent, limit, length.saturating_mul(u64::try_from(times).unwrap_or(0)) / 16)
        })?;
        let wrap: Function = self
            .lua
            .load("local original, check = ... return function(a, b, ...) check(a, b) return original(a, b, ...) end")
            .into_function()?;
        for (name, check) in [("find", &check), ("match", &check), ("gmatch", &check), ("gsub", &check), ("rep", &weigh)] {
            let original: Value = string.raw_get(name)?;
            string.raw_set(name, wrap.call::<Function>((original, check))?)?;
        }
        string.raw_set("gfind", Value::Nil)
    }
}

fn charge(spent: &AtomicU64, limit: u64, steps: u64) -> mlua::Result<()> {
    let before = spent.fetch_add(steps, Ordering::Relaxed);
    if before.saturating_add(steps) > limit { Err(mlua::Error::runtime(OUT_OF_STEPS)) } else { Ok(()) }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// Seconds since 1970 of a table with `year`, `month`, `day` and the rest; times are UTC. Noon where no hour is given.
fn time(parts: Option<&Table>, now: i64) -> Option<i64> {
    let Some(parts) = parts else { return Some(now) };
    let number = |name: &str| -> Option<i64> {
        match parts.raw_get::<Value>(name).ok()? {
            Value::Integer(number) => Some(number),
            Value::Number(number) => Some(number as i64),
            Value::String(text) => text.to_str().ok()?.trim().parse().ok(),
            _ => None,
        }
    };
    let date = jiff::civil::Date::new(
        number("year")?.try_into().ok()?,
        number("month")?.try_into().ok()?,
        number("day")?.try_into().ok()?,
    );
    let midnight = date.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    Some(midnight + number("hour").unwrap_or(12) * 3600 + number("min").unwrap_or(0) * 60 + number("sec").unwrap_or(0))
}

fn date(format: &str, at: i64) -> Option<String> {
    let format = format.trim_start_matches('!');
    let time = jiff::Timestamp::from_second(at).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    jiff::fmt::strtime::format(format, &time).ok()
}

//! What a rendering may cost, so that no template runs forever or fills the memory.

use super::World;
use super::error::Fault;

/// Units of one rendering. A byte of text or of a list is one unit; a turn of a loop is [`TURN`]. About a second of work.
const UNITS: u64 = 64 << 20;

/// Units of one turn of a `range`.
pub(super) const TURN: u64 = 256;

/// How deep actions, pipelines and called templates may be nested while they run: all of that is on the stack of one thread.
pub(super) const MAX_DEPTH: usize = 200;

/// What a function works with beside its arguments.
pub struct Context<'w> {
    /// Time, randomness, zones.
    pub world: &'w mut dyn World,
    units: u64,
}

impl<'w> Context<'w> {
    /// A full budget.
    pub(super) const fn new(world: &'w mut dyn World) -> Self {
        Self { world, units: UNITS }
    }

    /// Takes units from the budget.
    ///
    /// # Errors
    /// It is used up.
    pub fn spend(&mut self, units: u64) -> Result<(), Fault> {
        let Some(left) = self.units.checked_sub(units) else {
            return Err(Fault::new("the template takes too much time or memory"));
        };
        self.units = left;
        Ok(())
    }

    /// Takes the units for a list of so many items before it is made.
    ///
    /// # Errors
    /// The budget is used up.
    pub fn spend_items(&mut self, count: u64) -> Result<(), Fault> {
        self.spend(count.saturating_mul(32))
    }
}

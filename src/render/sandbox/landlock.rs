//! The rules of one child, in the words of Landlock.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope,
    path_beneath_rules,
};

use super::program::Program;
use super::{Confinement, Rights};

/// The newest rules that are asked for; a kernel that knows fewer enforces those it knows.
const ABI_WANTED: ABI = ABI::V10;
/// Programs and libraries of the system.
const SYSTEM: &[&str] = &["/bin", "/sbin", "/usr", "/lib", "/lib32", "/lib64", "/libx32"];
/// Where programs that are linked dynamically find their libraries.
const LIBRARIES: &[&str] = &["/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/etc/ld.so.cache"];
/// Devices that tell nothing about anybody.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// What a program needs to find another machine and to trust it.
const NETWORK: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/passwd",
    "/etc/group",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/ld.so.cache",
];

/// Rules that wait for a thread to hold.
pub(super) struct Rules(RulesetCreated);

/// The rules of a program with these rights.
pub(super) fn rules(program: &Path, rights: &Rights<'_>) -> io::Result<Rules> {
    let (read, execute) = (AccessFs::ReadFile | AccessFs::ReadDir, AccessFs::Execute | AccessFs::ReadFile);
    let write_in_place = AccessFs::from_all(ABI_WANTED) & !AccessFs::Execute;
    let mut beneath: Vec<(Vec<&Path>, BitFlags<AccessFs>)> =
        vec![(vec![rights.place], write_in_place), (paths(DEVICES), AccessFs::ReadFile | AccessFs::WriteFile)];
    let programs: Vec<(&Path, Program)> =
        std::iter::once(program).chain(rights.programs.iter().copied()).map(|path| (path, Program::of(path))).collect();
    for (path, kind) in &programs {
        beneath.push((vec![*path], execute));
        match kind {
            Program::Static => {}
            Program::Dynamic { interpreter } => {
                beneath.push((vec![interpreter.as_path()], execute));
                let beside = interpreter.parent();
                beneath.push((paths(LIBRARIES).into_iter().chain(beside).collect(), read));
            }
            Program::Script => beneath.push((paths(SYSTEM), execute | read)),
        }
    }
    if rights.network {
        beneath.push((paths(SYSTEM), execute | read));
        beneath.push((paths(NETWORK), read));
    }
    let mut created = ruleset(rights.network).and_then(Ruleset::create).map_err(io::Error::other)?;
    for (paths, access) in beneath {
        created = created.add_rules(path_beneath_rules(paths, access)).map_err(io::Error::other)?;
    }
    Ok(Rules(created))
}

fn paths(names: &[&'static str]) -> Vec<&'static Path> {
    names.iter().map(|name| Path::new(*name)).collect()
}

/// Everything is denied that no rule permits.
fn ruleset(network: bool) -> Result<Ruleset, landlock::RulesetError> {
    let rules = Ruleset::default().handle_access(AccessFs::from_all(ABI_WANTED))?.scope(Scope::from_all(ABI_WANTED))?;
    if network { Ok(rules) } else { rules.handle_access(AccessNet::from_all(ABI_WANTED)) }
}

impl Rules {
    /// Takes every other right from this thread and from what it starts, for ever.
    pub(super) fn restrict_this_thread(self) -> io::Result<()> {
        self.0.restrict_self().map(drop).map_err(io::Error::other)
    }
}

/// What this kernel enforces. Restricts the calling thread.
pub(super) fn probe() -> Confinement {
    let restricted = ruleset(false).and_then(Ruleset::create).and_then(RulesetCreated::restrict_self);
    match restricted.map(|status| status.landlock) {
        Ok(LandlockStatus::Available { effective_abi, .. }) if effective_abi >= ABI::V4 => Confinement::FilesAndNetwork,
        Ok(LandlockStatus::Available { .. }) => Confinement::Files,
        _ => Confinement::Nothing,
    }
}

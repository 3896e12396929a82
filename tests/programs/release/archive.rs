//! One archive: what Krew unpacks, and what people unpack by hand.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

const PLUGIN: &str = "kubectl-gitops";
/// No release build is nearly as large.
const DEBUG_BUILD_BYTES: usize = 50_000_000;

/// Name of the archive for a platform such as `linux-amd64`.
pub fn name(platform: &str) -> String {
    format!("{PLUGIN}-{platform}.tar.gz")
}

/// Packs the program under its name, and the licence, which Krew's index asks for. Krew refuses links, so there are none.
pub fn pack(program: &Path, platform: &str, folder: &Path) -> Result<(), String> {
    let licence = Path::new(env!("CARGO_MANIFEST_DIR")).join("LICENSE");
    let file_name = if platform.starts_with("windows") { format!("{PLUGIN}.exe") } else { PLUGIN.to_owned() };
    let path = folder.join(name(platform));
    let packed = || {
        fs::create_dir_all(folder)?;
        let program = fs::read(program)?;
        // Only tests pack a debug build; to squeeze it would take minutes.
        let level = if program.len() > DEBUG_BUILD_BYTES { Compression::none() } else { Compression::best() };
        let mut archive = tar::Builder::new(GzEncoder::new(File::create(&path)?, level));
        add(&mut archive, "LICENSE", &fs::read(licence)?, 0o644)?;
        add(&mut archive, &file_name, &program, 0o755)?;
        archive.into_inner()?.finish()?.flush()
    };
    packed().map_err(|cause: std::io::Error| format!("cannot pack {} into {}: {cause}", program.display(), path.display()))?;
    println!("{}", path.display());
    Ok(())
}

fn add(archive: &mut tar::Builder<GzEncoder<File>>, name: &str, content: &[u8], mode: u32) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_cksum();
    archive.append_data(&mut header, name, content)
}

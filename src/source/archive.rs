//! Unpacks a chart or an OCI layer into an object store, so that it is read exactly as a commit is.
//!
//! No file is ever written under a name of the archive: contents become objects named by their hash, and a path is only an
//! entry of a tree. So nothing that a path or a link of the archive says can reach out of its folder.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use gix::objs::tree::{Entry, EntryKind};
use tar::EntryType;

/// Most bytes of all files of an archive together; the limit of Helm itself.
pub(super) const MAX_UNPACKED_BYTES: u64 = 100 << 20;
/// Most files of an archive.
const MAX_FILES: usize = 20_000;
/// Most folders within folders.
const MAX_DEPTH: usize = 64;
/// What a gzip stream begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How the files of an archive lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Below a folder with the name of the chart, which is taken off.
    Chart,
    /// As they are.
    Plain,
}

enum Node {
    Folder(BTreeMap<String, Node>),
    File(EntryKind, gix::ObjectId),
}

/// Unpacks an archive, gzipped or not, into a new bare repository. Gives the id of the root folder.
///
/// # Errors
/// What is wrong with the archive or the disk, for people.
pub(super) fn unpack(archive: &[u8], layout: Layout, folder: &Path) -> Result<gix::ObjectId, String> {
    let store = create(folder)?;
    let mut root = BTreeMap::new();
    let mut count = 0;
    let unreadable = |error: std::io::Error| format!("it is no tar archive, or damaged: {error}");
    for entry in tar::Archive::new(reader(archive)).entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
            continue;
        }
        count += 1;
        if count > MAX_FILES {
            return Err(format!("it has more than {MAX_FILES} files"));
        }
        let path = entry.path().map_err(unreadable)?.to_str().map(str::to_owned).ok_or("it has a name that is no UTF-8")?;
        let parts = parts(&path, layout)?;
        let node = match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
                if entry.size() > MAX_UNPACKED_BYTES {
                    return Err(too_large());
                }
                let mut content = Vec::new();
                entry.read_to_end(&mut content).map_err(unreadable)?;
                Node::File(if executable { EntryKind::BlobExecutable } else { EntryKind::Blob }, blob(&store, &content)?)
            }
            EntryType::Symlink => Node::File(EntryKind::Link, blob(&store, &link_target(&entry)?)?),
            EntryType::Link => {
                let target = String::from_utf8(link_target(&entry)?).map_err(|_| "it has a link that is no UTF-8")?;
                hard_link(&root, &self::parts(&target, layout)?).ok_or_else(|| format!("`{path}` is a link to nothing"))?
            }
            _ => return Err(format!("`{path}` is neither a file nor a folder")),
        };
        insert(&mut root, &parts, node).ok_or_else(|| format!("`{path}` is a file and a folder at once"))?;
    }
    if layout == Layout::Chart && !matches!(root.get("Chart.yaml"), Some(Node::File(..))) {
        return Err("it is no chart: it has no Chart.yaml in its top folder".into());
    }
    write(&store, &root)
}

/// The files of an archive whose path is wanted, as text; none of one that cannot be read, for whoever uses it says so.
pub(crate) fn texts(archive: &[u8], wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut reader = tar::Archive::new(reader(archive));
    let Ok(entries) = reader.entries() else { return found };
    for mut entry in entries.map_while(Result::ok).take(MAX_FILES) {
        let path = entry.path().ok().and_then(|path| path.to_str().map(str::to_owned)).unwrap_or_default();
        let mut content = Vec::new();
        if wanted(&path) && entry.size() <= MAX_UNPACKED_BYTES && entry.read_to_end(&mut content).is_ok() {
            found.push((path, String::from_utf8_lossy(&content).into_owned()));
        }
    }
    found
}

fn reader(archive: &[u8]) -> Limited<'_> {
    let reader: Box<dyn Read + '_> =
        if archive.starts_with(&GZIP) { Box::new(flate2::read::MultiGzDecoder::new(archive)) } else { Box::new(archive) };
    Limited { reader, left: MAX_UNPACKED_BYTES }
}

fn create(folder: &Path) -> Result<gix::Repository, String> {
    let (kind, options) = (gix::create::Kind::Bare, gix::create::Options::default());
    let made = gix::ThreadSafeRepository::init_opts(folder, kind, options, gix::open::Options::isolated());
    Ok(made.map_err(|error| error.to_string())?.to_thread_local())
}

fn blob(store: &gix::Repository, content: &[u8]) -> Result<gix::ObjectId, String> {
    store.write_blob(content).map(gix::Id::detach).map_err(|error| error.to_string())
}

fn link_target<R: Read>(entry: &tar::Entry<'_, R>) -> Result<Vec<u8>, String> {
    Ok(entry.link_name_bytes().ok_or("it has a link without a target")?.into_owned())
}

/// The folders and the name of a path, checked; for a chart without the first folder.
fn parts(path: &str, layout: Layout) -> Result<Vec<&str>, String> {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let bad = |part: &&str| *part == ".." || part.eq_ignore_ascii_case(".git") || part.contains(['\\', '\0']);
    if path.starts_with('/') || parts.iter().any(bad) {
        return Err(format!("the path `{path}` in it leads out of its folder"));
    }
    if layout == Layout::Chart && !parts.is_empty() {
        parts.remove(0);
    }
    match parts.len() {
        0 => Err(format!("`{path}` lies outside of the folder of the chart")),
        1..=MAX_DEPTH => Ok(parts),
        _ => Err(format!("`{path}` lies more than {MAX_DEPTH} folders deep")),
    }
}

/// Puts a node where it belongs, in place of an earlier one; `None` when a file is in the way of a folder or the reverse.
fn insert(root: &mut BTreeMap<String, Node>, parts: &[&str], node: Node) -> Option<()> {
    let (name, folders) = parts.split_last()?;
    let mut folder = root;
    for part in folders {
        match folder.entry((*part).to_owned()).or_insert_with(|| Node::Folder(BTreeMap::new())) {
            Node::Folder(inner) => folder = inner,
            Node::File(..) => return None,
        }
    }
    match folder.get(*name) {
        Some(Node::Folder(_)) => None,
        _ => folder.insert((*name).to_owned(), node).map_or(Some(()), |_| Some(())),
    }
}

fn hard_link(root: &BTreeMap<String, Node>, parts: &[&str]) -> Option<Node> {
    let (name, folders) = parts.split_last()?;
    let mut folder = root;
    for part in folders {
        let Some(Node::Folder(inner)) = folder.get(*part) else { return None };
        folder = inner;
    }
    match folder.get(*name) {
        Some(Node::File(kind, id)) => Some(Node::File(*kind, *id)),
        _ => None,
    }
}

fn write(store: &gix::Repository, folder: &BTreeMap<String, Node>) -> Result<gix::ObjectId, String> {
    let mut entries = Vec::with_capacity(folder.len());
    for (name, node) in folder {
        let (kind, oid) = match node {
            Node::File(kind, id) => (*kind, *id),
            Node::Folder(inner) => (EntryKind::Tree, write(store, inner)?),
        };
        entries.push(Entry { mode: kind.into(), filename: name.as_str().into(), oid });
    }
    entries.sort();
    store.write_object(gix::objs::Tree { entries }).map(gix::Id::detach).map_err(|error| error.to_string())
}

fn too_large() -> String {
    format!("it is larger than {MAX_UNPACKED_BYTES} bytes when unpacked")
}

/// Fails, instead of ending, once more was read than is allowed: a bomb must not look like a short archive.
struct Limited<'a> {
    reader: Box<dyn Read + 'a>,
    left: u64,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(std::io::Error::other(too_large())),
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::source::testing::{Packed, pack};

    fn unpacked(entries: &[Packed<'_>], layout: Layout) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let root = unpack(&pack(entries), layout, &folder.path().join("store"))?;
        let store = gix::open_opts(folder.path().join("store"), gix::open::Options::isolated()).unwrap();
        let listed = std::process::Command::new("git")
            .args(["--git-dir", store.path().to_str().unwrap(), "ls-tree", "-r", "--format=%(objectmode) %(path)"])
            .arg(root.to_string())
            .output()
            .unwrap();
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        Ok(String::from_utf8(listed.stdout).unwrap().lines().collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn a_chart_loses_its_top_folder() {
        let entries = [
            Packed::file("web/Chart.yaml", "name: web\n"),
            Packed::file("web/templates/b.yaml", "b"),
            Packed::file("web/templates.txt", "t"),
            Packed::file("./web/templates/a.yaml", "a"),
            Packed::link("web/README", "templates.txt"),
        ];
        let expected = "100644 Chart.yaml, 120000 README, 100644 templates.txt, 100644 templates/a.yaml, 100644 templates/b.yaml";
        assert_eq!(unpacked(&entries, Layout::Chart).unwrap(), expected);
        assert_eq!(unpacked(&entries[..1], Layout::Plain).unwrap(), "100644 web/Chart.yaml");
    }

    #[test]
    fn what_leads_out_or_is_no_chart_is_refused() {
        let chart = Packed::file("web/Chart.yaml", "name: web\n");
        let cases = [
            (vec![Packed::file("web/values.yaml", "")], "it has no Chart.yaml"),
            (vec![chart, Packed::file("web/../../x", "")], "leads out of its folder"),
            (vec![chart, Packed::file("/etc/passwd", "")], "leads out of its folder"),
            (vec![chart, Packed::file("web/.git/config", "")], "leads out of its folder"),
            (vec![chart, Packed::file("loose", "")], "outside of the folder of the chart"),
            (vec![chart, Packed::device("web/null")], "neither a file nor a folder"),
            (vec![chart, Packed::file("web/a", ""), Packed::file("web/a/b", "")], "a file and a folder at once"),
        ];
        for (entries, expected) in cases {
            let problem = unpacked(&entries, Layout::Chart).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(unpack(b"<html>not found</html>", Layout::Chart, &folder.path().join("store")).unwrap_err().contains("no tar"));
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut header = tar::Header::new_ustar();
        header.set_path("web/zeros").unwrap();
        header.set_size(MAX_UNPACKED_BYTES + 1);
        header.set_cksum();
        std::io::Write::write_all(&mut gzip, header.as_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let problem = unpack(&gzip.finish().unwrap(), Layout::Chart, &folder.path().join("store")).unwrap_err();
        assert!(problem.contains("larger than"), "{problem}");

        let mut many = Limited { reader: Box::new(std::io::repeat(0)), left: 1000 };
        let problem = std::io::copy(&mut many, &mut std::io::sink()).unwrap_err().to_string();
        assert!(problem.contains("larger than"), "{problem}");
    }
}

//! Archives, good and bad.

/// One entry of an archive.
#[derive(Clone, Copy)]
pub struct Packed<'a> {
    path: &'a str,
    content: &'a str,
    kind: tar::EntryType,
}

impl<'a> Packed<'a> {
    pub fn file(path: &'a str, content: &'a str) -> Self {
        Self { path, content, kind: tar::EntryType::Regular }
    }

    pub fn link(path: &'a str, target: &'a str) -> Self {
        Self { path, content: target, kind: tar::EntryType::Symlink }
    }

    pub fn device(path: &'a str) -> Self {
        Self { path, content: "", kind: tar::EntryType::Char }
    }
}

/// A gzipped tar archive. Paths go in as they are, however bad.
pub fn pack(entries: &[Packed<'_>]) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        let name = &mut header.as_gnu_mut().unwrap().name;
        name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(0o644);
        let is_file = entry.kind.is_file();
        if entry.kind.is_symlink() {
            header.set_link_name_literal(entry.content).unwrap();
        }
        header.set_size(if is_file { entry.content.len() as u64 } else { 0 });
        header.set_cksum();
        archive.append(&header, if is_file { entry.content.as_bytes() } else { &[] }).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

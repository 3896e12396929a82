//! `-R`: every plain Secret below folders, each file to a `.sealed` one beside it or at the same place below another folder.

use std::path::{Path, PathBuf};

use super::SealArgs;
use super::input::{Others, Source};
use super::job::Job;
use crate::cli::Failure;
use crate::cli::secrets::files;
use crate::ui::stream;

/// One job for each file with Secrets. A Helm template below a folder is left out and named; any other text that cannot be read is
/// an error.
pub fn jobs(args: &SealArgs) -> Result<Vec<Job>, Failure> {
    let given: Vec<PathBuf> = args.files.iter().chain(&args.filenames).cloned().collect();
    let mut jobs: Vec<Job> = Vec::new();
    for path in &given {
        for file in files::manifests([path])? {
            let text = files::read_text(&file)?;
            if !text.contains("Secret") || jobs.iter().flat_map(|job| &job.sources).any(|source| source.file == file) {
                continue;
            }
            let is_template = &file != path && text.contains("{{");
            let source = match Source::parse(&file, text, Others::Leave) {
                Err(failure) if is_template => {
                    stream::say(&format!("left out, as templates are no manifests: {}", failure.what));
                    continue;
                }
                other => other?,
            };
            if source.secrets.is_empty() {
                continue;
            }
            let out = match &args.out_dir {
                _ if args.in_place => file.clone(),
                None => sealed_name(&file),
                Some(folder) => folder.join(sealed_name(&below(path, &file, given.len() > 1))),
            };
            jobs.push(Job { sources: vec![source], out });
        }
    }
    if jobs.is_empty() {
        return Err(Failure::new("there is no Secret with values in the given paths"));
    }
    Ok(jobs)
}

/// `secrets/db.yaml` becomes `secrets/db.sealed.yaml`.
fn sealed_name(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let extension = file.extension().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}.sealed.{extension}"))
}

/// A file's path below the folder that was given; one of several folders keeps its own name before it.
fn below(given: &Path, file: &Path, is_one_of_several: bool) -> PathBuf {
    let given = given.strip_prefix(".").unwrap_or(given);
    let name = PathBuf::from(file.file_name().unwrap_or_default());
    if given == file {
        return name;
    }
    // Below the current folder files are named without it.
    let inner =
        if given.as_os_str().is_empty() { file.to_owned() } else { file.strip_prefix(given).map_or(name, Path::to_owned) };
    match given.file_name().filter(|_| is_one_of_several) {
        Some(folder) => Path::new(folder).join(inner),
        None => inner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_files_stand_beside_their_sources() {
        assert_eq!(sealed_name(Path::new("a/db.yaml")), Path::new("a/db.sealed.yaml"));
        assert_eq!(sealed_name(Path::new("db.json")), Path::new("db.sealed.json"));
    }

    #[test]
    fn below_another_folder_the_path_stays() {
        let below = |given: &str, file: &str, several| below(Path::new(given), Path::new(file), several).display().to_string();
        assert_eq!(below("repo", "repo/a/db.yaml", false), "a/db.yaml");
        assert_eq!(below(".", "a/db.yaml", false), "a/db.yaml");
        assert_eq!(below("./repo/", "repo/a/db.yaml", false), "a/db.yaml");
        assert_eq!(below("x/repo", "x/repo/a/db.yaml", true), "repo/a/db.yaml");
        assert_eq!(below("a/db.yaml", "a/db.yaml", true), "db.yaml");
    }
}

//! Child processes that render: an empty environment, a private home, no rights beyond it ([`super::sandbox`]), limits on time
//! and output, killed as a group.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::sandbox::{self, Bounds, Rights};
use super::{Options, RenderError};

/// What a child finds on its path: kustomize needs `git` there for remote bases, and nothing else.
const CHILD_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Most characters of a program's complaint that are shown.
const MAX_COMPLAINT: usize = 2000;
/// Most bytes of standard error that are read; beyond it only the beginning counts.
const MAX_STDERR_BYTES: usize = 64 << 10;
/// Where a program begins to tell how it is used.
const MANUALS: [&str; 2] = ["\nUsage:", "\n\nUse --debug flag"];
/// Asking a program for its version takes milliseconds; a program that hangs there is not the right one.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// Memory of one program. Charts and kustomizations of thousands of objects need about a third of it.
const MAX_MEMORY_BYTES: u64 = 1 << 30;
/// Size of one file that a program writes.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// What Go programs say when the limit of memory stops them; a page of addresses follows.
const RUNS_OUT_OF_MEMORY: &[&str] = &["runtime: out of memory", "runtime: cannot allocate memory"];
/// Processor time per second of wall time: programs use several cores.
const CORES: u32 = 4;

/// The program that builds kustomizations: kustomize itself, or the copy inside kubectl.
#[derive(Debug, Clone)]
pub(super) struct Kustomize {
    program: PathBuf,
    inside_kubectl: bool,
    version: String,
}

/// One build: where, and with which options.
#[derive(Debug, Clone, Copy)]
pub(super) struct KustomizeBuild<'a> {
    pub(super) checkout: &'a Path,
    /// Folder of the kustomization in the checkout.
    pub(super) folder: &'a str,
    pub(super) home: &'a Path,
    pub(super) arguments: &'a [String],
}

impl Kustomize {
    /// Finds the program, unless it is named, and asks for its version.
    pub(super) async fn find(named: Option<PathBuf>, options: &Options) -> Result<Self, RenderError> {
        let named = named.or_else(|| options.kustomize.clone()).or_else(|| from_environment("GITOPS_KUSTOMIZE"));
        let (program, inside_kubectl) = match named {
            Some(program) => {
                let kubectl = program.file_name().is_some_and(|name| name == "kubectl");
                (program, kubectl)
            }
            None => on_path("kustomize")
                .map(|program| (program, false))
                .or_else(|| on_path("kubectl").map(|program| (program, true)))
                .ok_or(RenderError::ProgramMissing)?,
        };
        let arguments: &[&str] = if inside_kubectl { &["version", "--client"] } else { &["version"] };
        let version = version_of(&program, arguments).await?;
        let version = format!("{} {version}", if inside_kubectl { "kubectl" } else { "kustomize" });
        Ok(Self { program, inside_kubectl, version })
    }

    /// Program and version; part of the key of what it renders.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn name(&self) -> &'static str {
        if self.inside_kubectl { "kubectl kustomize" } else { "kustomize build" }
    }

    /// Builds the kustomization in a folder of a checkout.
    pub(super) async fn build(
        &self,
        build: &KustomizeBuild<'_>,
        environment: &[(&str, &str)],
        rights: &Rights<'_>,
        options: &Options,
    ) -> Result<String, RenderError> {
        let KustomizeBuild { checkout, folder, home, arguments } = *build;
        let verb = if self.inside_kubectl { "kustomize" } else { "build" };
        let target = checkout.join(folder);
        let arguments = [OsStr::new(verb), target.as_os_str()].into_iter().chain(arguments.iter().map(OsStr::new));
        let limits = Limits { timeout: options.timeout, max_output_bytes: options.max_output_bytes };
        // The files of the system that git would read are not readable, which is an error for it.
        let environment: Vec<_> = environment.iter().copied().chain([("GIT_CONFIG_NOSYSTEM", "1")]).collect();
        let output = run(&self.program, arguments, checkout, home, &environment, rights, &limits).await;
        output.map_err(|error| named(error, self.name(), checkout, home))
    }
}

/// What the program for charts is called in errors.
pub(super) const HELM_TEMPLATE: &str = "helm template";

/// The program that renders charts.
#[derive(Debug, Clone)]
pub(super) struct Helm {
    program: PathBuf,
    version: String,
}

impl Helm {
    /// Finds the program and asks for its version.
    pub(super) async fn find(options: &Options) -> Result<Self, RenderError> {
        let program = helm(options).filter(|program| program.is_file()).ok_or(RenderError::HelmMissing)?;
        let version = version_of(&program, &["version", "--short"]).await?;
        Ok(Self { program, version })
    }

    /// The version; part of the key of what it renders.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Runs a command in the folder of a chart; `name` is what errors call it. The environment of a child has nothing that a
    /// template could see.
    pub(super) async fn run(
        &self,
        name: &str,
        folder: &Path,
        checkout: &Path,
        home: &Path,
        arguments: &[String],
        options: &Options,
    ) -> Result<String, RenderError> {
        let limits = Limits { timeout: options.timeout, max_output_bytes: options.max_output_bytes };
        // Checkout and home lie side by side in the private place; what a chart needs is brought there before.
        let rights = Rights { place: home.parent().unwrap_or(home), programs: &[], network: false };
        let arguments = arguments.iter().map(OsStr::new);
        let output = run(&self.program, arguments, folder, home, &[], &rights, &limits).await;
        output.map_err(|error| named(error, name, checkout, home))
    }
}

async fn version_of(program: &Path, arguments: &[&str]) -> Result<String, RenderError> {
    // The library's text holds the random name of the folder.
    let home = tempfile::tempdir().map_err(|error| RenderError::machine(error.kind()))?;
    let limits = Limits { timeout: VERSION_TIMEOUT, max_output_bytes: MAX_STDERR_BYTES };
    let rights = Rights { place: home.path(), programs: &[], network: false };
    let output = run(program, arguments.iter().map(OsStr::new), home.path(), home.path(), &[], &rights, &limits).await?;
    Ok(output.trim().to_owned())
}

/// The error under the name that the user knows, without the paths of our checkout.
fn named(error: RenderError, name: &str, checkout: &Path, home: &Path) -> RenderError {
    let program = name.to_owned();
    match error {
        RenderError::ProgramFailed { problem, .. } => {
            RenderError::ProgramFailed { program, problem: complaint(&problem, checkout, home) }
        }
        RenderError::ProgramTimeout { limit, .. } => RenderError::ProgramTimeout { program, limit },
        RenderError::OutputTooLarge { limit_bytes, .. } => RenderError::OutputTooLarge { program, limit_bytes },
        RenderError::OutOfMemory { limit_bytes, .. } => RenderError::OutOfMemory { program, limit_bytes },
        other => other,
    }
}

/// What a program says, without the paths of our checkout and without its manual.
fn complaint(stderr: &str, checkout: &Path, home: &Path) -> String {
    let mut text = stderr.to_owned();
    for (folder, shown) in [(checkout, "."), (home, "~")] {
        // macOS and some systems reach the temporary folder through a link, and programs print what is behind it.
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        for path in [real.as_path(), folder] {
            let path = path.display().to_string();
            let inside = if shown == "." { String::new() } else { format!("{shown}/") };
            text = text.replace(&format!("{path}/"), &inside).replace(&path, shown);
        }
    }
    let text = without_random_names(&text);
    let text = MANUALS.iter().fold(text.as_str(), |text, manual| text.split(manual).next().unwrap_or_default()).trim();
    let text = text.strip_prefix("Error: ").or_else(|| text.strip_prefix("error: ")).unwrap_or(text);
    match text.char_indices().nth(MAX_COMPLAINT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Kustomize puts remote bases into folders named `kustomize-` and a random number.
fn without_random_names(text: &str) -> String {
    let mut pieces = text.split("kustomize-");
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        kept.push_str("kustomize-");
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        kept.push_str(if piece.len() - rest.len() >= 6 { "*" } else { &piece[..piece.len() - rest.len()] });
        kept.push_str(rest);
    }
    kept
}

/// The program for charts inside kustomizations.
pub(super) fn helm(options: &Options) -> Option<PathBuf> {
    options.helm.clone().or_else(|| from_environment("GITOPS_HELM")).or_else(|| on_path("helm"))
}

fn from_environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|program| program.is_file())
}

struct Limits {
    timeout: Duration,
    max_output_bytes: usize,
}

/// Runs a program to its end and returns what it wrote.
async fn run<'a>(
    program: &Path,
    arguments: impl IntoIterator<Item = &'a OsStr>,
    folder: &Path,
    home: &Path,
    environment: &[(&str, &str)],
    rights: &Rights<'_>,
    limits: &Limits,
) -> Result<String, RenderError> {
    let name = || program.display().to_string();
    let failed = |error: std::io::Error| RenderError::ProgramFailed { program: name(), problem: error.to_string() };
    // A relative path means something else in the folder of the child.
    let absolute = std::path::absolute(program).map_err(failed)?;
    let mut command = tokio::process::Command::new(absolute);
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", CHILD_PATH)
        .env("HOME", home)
        .env("TMPDIR", home)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let bounds = Bounds { memory_bytes: MAX_MEMORY_BYTES, processor_time: limits.timeout * CORES, file_bytes: MAX_FILE_BYTES };
    let mut child = sandbox::spawn(command, rights, bounds).await.map_err(failed)?;
    // Children of the child go with it, whichever way this function ends.
    let _group = Group(child.id());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let finished = async {
        let (stdout, stderr) = tokio::join!(read(stdout, limits.max_output_bytes), read(stderr, MAX_STDERR_BYTES));
        let (stdout, stderr) = (stdout.map_err(RenderError::machine)?, stderr.map_err(RenderError::machine)?);
        if stdout.len() > limits.max_output_bytes {
            return Err(RenderError::OutputTooLarge { program: name(), limit_bytes: limits.max_output_bytes });
        }
        let status = child.wait().await.map_err(RenderError::machine)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if status.success() { Ok(text(&stdout)) } else { Err(failure(name(), status, &text(&stderr))) }
    };
    tokio::time::timeout(limits.timeout, finished)
        .await
        .unwrap_or_else(|_| Err(RenderError::ProgramTimeout { program: name(), limit: limits.timeout }))
}

fn failure(program: String, status: std::process::ExitStatus, stderr: &str) -> RenderError {
    if RUNS_OUT_OF_MEMORY.iter().any(|words| stderr.contains(words)) {
        return RenderError::OutOfMemory { program, limit_bytes: MAX_MEMORY_BYTES };
    }
    let problem = if stderr.trim().is_empty() { status.to_string() } else { stderr.to_owned() };
    RenderError::ProgramFailed { program, problem }
}

/// Reads one byte more than the limit, so that the caller sees it was passed.
async fn read(pipe: Option<impl AsyncRead + Unpin>, limit_bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(limit_bytes as u64 + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Kills a process group when it is dropped; a group that has ended already is no error.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.0.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    async fn shell(script: &str, limits: &Limits) -> Result<String, RenderError> {
        let home = tempfile::tempdir().unwrap();
        let rights = Rights { place: home.path(), programs: &SHELL_PROGRAMS.map(Path::new), network: false };
        let arguments = ["-c", script].map(OsStr::new);
        let environment = [("ARGOCD_APP_NAME", "web")];
        run(Path::new("/bin/sh"), arguments, home.path(), home.path(), &environment, &rights, limits).await
    }

    /// What the scripts of these tests start.
    const SHELL_PROGRAMS: [&str; 6] = ["/usr/bin/env", "/usr/bin/cut", "/usr/bin/sort", "/usr/bin/tr", "/bin/sleep", "/bin/cat"];

    const LIMITS: Limits = Limits { timeout: Duration::from_secs(20), max_output_bytes: 1000 };

    #[tokio::test]
    async fn a_child_sees_nothing_of_our_environment() {
        let output = shell("env | cut -d= -f1 | sort | tr '\\n' ' '", &LIMITS).await.unwrap();
        assert_eq!(
            output.replace("_ ", "").replace("OLDPWD ", "").replace("SHLVL ", ""),
            "ARGOCD_APP_NAME HOME PATH PWD TMPDIR "
        );
    }

    #[tokio::test]
    async fn a_child_that_hangs_or_floods_is_killed_with_its_children() {
        let limits = Limits { timeout: Duration::from_millis(300), ..LIMITS };
        // A name by which it can be found, as the child can write nowhere that outlives it.
        let marker = format!("6{:07}", std::process::id());
        let error = shell(&format!("sleep {marker} & wait"), &limits).await.unwrap_err();
        assert!(matches!(error, RenderError::ProgramTimeout { .. }), "{error}");
        let gone = async {
            // A zombie has no command line, and nobody may reap it here.
            while is_running(&marker) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
        let error = shell("while :; do echo flood; done", &LIMITS).await.unwrap_err();
        assert!(matches!(error, RenderError::OutputTooLarge { .. }), "{error}");
    }

    fn is_running(argument: &str) -> bool {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        lines.into_iter().any(|line| line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes()))
    }

    #[tokio::test]
    async fn complaints_are_short_and_name_no_temporary_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let text = complaint(
            &format!("Error: cannot read '{path}/app/x.yaml' in '{path}'\nUsage:\n  a lot"),
            folder.path(),
            Path::new("/home/of/it"),
        );
        assert_eq!(text, "cannot read 'app/x.yaml' in '.'");
        let text = complaint("lstat /home/of/it/kustomize-123456789/base: kustomize-v5", folder.path(), Path::new("/home/of/it"));
        assert_eq!(text, "lstat ~/kustomize-*/base: kustomize-v5");
        assert!(complaint(&"x".repeat(5000), folder.path(), folder.path()).len() < 2010);
    }
}

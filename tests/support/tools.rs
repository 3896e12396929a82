//! Where the pinned programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use kubectl_gitops::cli::Failure;

/// The folder of programs that `make tools` built.
#[derive(Debug, Clone)]
pub struct Tools {
    bin: PathBuf,
    assets: Option<PathBuf>,
}

/// Finds the tools.
///
/// # Panics
/// When the folder cannot be determined; a missing program is reported when it is asked for.
pub fn tools() -> Tools {
    Tools::locate().unwrap_or_else(|failure| panic!("{}: {}", failure.what, failure.causes.join(": ")))
}

impl Tools {
    /// Finds the folder of tools that belongs to this checkout.
    ///
    /// # Errors
    /// When the build script cannot tell it.
    pub fn locate() -> Result<Self, Failure> {
        let script = repository().join("tests/tools/build.sh");
        let output = Command::new(&script)
            .arg("--path")
            .output()
            .map_err(|cause| Failure::new(format!("cannot run {}", script.display())).with_cause(&cause))?;
        let bin = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(Self { bin, assets })
    }

    /// Returns the path of a program; etcd, kube-apiserver and kubectl come from `KUBEBUILDER_ASSETS` when that has them.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn find(&self, program: &str) -> Result<PathBuf, Failure> {
        let provided = match program {
            "etcd" | "kube-apiserver" | "kubectl" => self.assets.as_ref().map(|assets| assets.join(program)),
            _ => None,
        };
        provided.into_iter().chain([self.bin.join(program)]).find(|path| path.is_file()).ok_or_else(|| {
            Failure::new(format!("{program} is not in {}", self.bin.display()))
                .with_hint("run `make tools`; it builds the pinned programs once per machine")
        })
    }

    /// Returns the folder for a `PATH`.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The path of kubectl.
    pub fn kubectl(&self) -> PathBuf {
        self.expect("kubectl")
    }

    /// The path of kubeseal.
    pub fn kubeseal(&self) -> PathBuf {
        self.expect("kubeseal")
    }

    /// The path of the Sealed Secrets controller that we compare ourselves with.
    pub fn sealed_secrets_controller(&self) -> PathBuf {
        self.expect("sealed-secrets-controller")
    }

    /// The path of kustomize.
    pub fn kustomize(&self) -> PathBuf {
        self.expect("kustomize")
    }

    /// The path of helm, version 4.
    pub fn helm(&self) -> PathBuf {
        self.expect("helm")
    }

    /// The path of helm, version 3.
    pub fn helm3(&self) -> PathBuf {
        self.expect("helm3")
    }

    fn expect(&self, program: &str) -> PathBuf {
        self.find(program).unwrap_or_else(|failure| panic!("{}; hint: {}", failure.what, failure.hint.unwrap_or_default()))
    }
}

/// The root of this checkout.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with kwok's own stage files: `GITOPS_KWOK_STAGES`, or the module that kwok was built from.
///
/// # Errors
/// When Go is missing or cannot fetch the module.
pub fn kwok_stages() -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os("GITOPS_KWOK_STAGES") {
        return Ok(path.into());
    }
    let module = "sigs.k8s.io/kwok";
    // The folder name is known to Go only; asking it in our own module checks the sources against the committed go.sum.
    let stages = || go(&["list", "-m", "-f", "{{.Dir}}", module]).map(|dir| PathBuf::from(dir).join("kustomize/stage"));
    let found = stages()?;
    if found.is_dir() {
        return Ok(found);
    }
    go(&["mod", "download", module])?;
    stages()
}

fn go(args: &[&str]) -> Result<String, Failure> {
    let failed = |cause: String| {
        let mut failure = Failure::new(format!("`go {}` failed", args.join(" ")))
            .with_hint("install Go, or set GITOPS_KWOK_STAGES to the folder kustomize/stage of kwok's sources");
        failure.causes.push(cause);
        failure
    };
    let output = Command::new("go")
        .args(args)
        .current_dir(repository().join("tests/tools/kwok"))
        .env("GOFLAGS", "-mod=readonly")
        .env("GOWORK", "off")
        .output()
        .map_err(|cause| failed(cause.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

//! The kubectl plugin.

fn main() -> std::process::ExitCode {
    kubectl_gitops::cli::main()
}

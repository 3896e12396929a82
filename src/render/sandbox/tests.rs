#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Stdio;

use super::*;

const BOUNDS: Bounds = Bounds { memory_bytes: 256 << 20, processor_time: Duration::from_secs(20), file_bytes: 1 << 20 };

/// Runs a shell script with the rights of a script (every program of the system), and gives its exit code and output.
async fn run(place: &Path, network: bool, script: &str) -> (i32, String) {
    let file = place.join("script.sh");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    // Nothing in its own folder can be executed, so the program lies beside it.
    let program = tempfile::Builder::new().prefix("program").tempfile().unwrap();
    std::fs::copy(&file, program.path()).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(program.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.into_temp_path();
    let mut command = Command::new(&program);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", place)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .current_dir(place)
        .stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = spawn(command, &Rights { place, programs: &[], network }, BOUNDS).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

/// The machines that run these tests have all of Landlock that the tests are about.
#[test]
fn this_kernel_confines() {
    assert_eq!(confinement(), Confinement::FilesAndNetwork);
    assert!(Confinement::Nothing.gap().is_some() && Confinement::FilesAndNetwork.gap().is_none());
}

#[tokio::test]
async fn a_child_reads_and_writes_nothing_outside_its_folder() {
    let (place, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let token = outside.path().join("token");
    std::fs::write(&token, "MARKER-TOKEN").unwrap();
    std::os::unix::fs::symlink(&token, place.path().join("link")).unwrap();
    for script in [
        format!("cat {}", token.display()),
        "cat link".to_owned(),
        format!("ls {}", outside.path().display()),
        format!("echo x > {}", outside.path().join("new").display()),
        format!("echo x >> {}", token.display()),
        format!("ln {} hard && cat hard", token.display()),
        format!("rm {}", token.display()),
        "cat /proc/self/environ".to_owned(),
        format!("cat /proc/{}/environ", std::process::id()),
        "cat /etc/passwd".to_owned(),
        "ls /".to_owned(),
        "ls /tmp".to_owned(),
    ] {
        let (code, output) = run(place.path(), false, &script).await;
        assert!(code != 0 && !output.contains("MARKER"), "{script}: {code} {output}");
    }
    assert_eq!(std::fs::read_to_string(&token).unwrap(), "MARKER-TOKEN");
    let (code, output) = run(place.path(), false, "echo kept > file && mkdir d && mv file d/ && cat d/file").await;
    assert_eq!((code, output.as_str()), (0, "kept\n"));
}

#[tokio::test]
async fn nothing_that_a_source_brings_along_is_executed() {
    let place = tempfile::tempdir().unwrap();
    let (code, output) = run(place.path(), false, "cp /bin/true plugin && chmod +x plugin && ./plugin").await;
    assert!(code != 0 && output.contains("ermission denied"), "{code} {output}");
}

/// A real program over a real connection: with the right it is served, without it the server hears nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_reaches_no_other_machine_unless_it_may() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = format!("exec git ls-remote git://{address}/x");
    let place = tempfile::tempdir().unwrap();
    let (code, output) = run(place.path(), false, &script).await;
    assert!(code != 0 && output.contains("ermission denied"), "{code} {output}");
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody connected");
    listener.set_nonblocking(false).unwrap();
    let served = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut first = [0; 4];
        std::io::Read::read_exact(&mut connection, &mut first).unwrap();
    });
    let (_, output) = run(place.path(), true, &script).await;
    assert!(served.is_finished() || !output.contains("ermission denied"), "{output}");
    served.join().unwrap();
}

#[tokio::test]
async fn memory_and_files_have_limits() {
    let place = tempfile::tempdir().unwrap();
    // The limits are set right after the start, by when a shell could be through with this. A text doubles until it is refused or
    // a gigabyte long.
    let (code, output) =
        run(place.path(), false, "sleep 0.2; x=0123456789; for i in $(seq 27); do x=$x$x; done; echo grown").await;
    assert!(code != 0 && !output.contains("grown"), "{code} {output}");
    let (code, _) = run(place.path(), false, "sleep 0.2; head -c 3000000 /dev/zero > big").await;
    assert!(code != 0 && std::fs::metadata(place.path().join("big")).unwrap().len() <= 1 << 20, "{code}");
    let (_, output) = run(place.path(), false, "sleep 0.2; ulimit -c; ulimit -n").await;
    assert_eq!(output, "0\n1024\n");
}

/// What one child may not do, this process still may.
#[tokio::test]
async fn this_process_keeps_its_rights() {
    let place = tempfile::tempdir().unwrap();
    run(place.path(), false, "true").await;
    assert!(std::fs::read_to_string("/etc/passwd").is_ok());
    assert!(tokio::task::spawn_blocking(|| std::fs::read_to_string("/etc/passwd").is_ok()).await.unwrap());
}

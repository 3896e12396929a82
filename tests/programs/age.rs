//! Plays `age --decrypt` and `age-keygen` in the test that runs the guides, with the library that our backups are made with.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use age::secrecy::ExposeSecret as _;

type Problem = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    let result = match words.as_slice() {
        ["-o", file] => make(file),
        ["-y", file] => show_recipient(file),
        ["--decrypt", "--identity", identity, file] => decrypt(identity, file),
        _ => Err(format!("not played: {words:?}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "age: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn make(file: &str) -> Result<(), Problem> {
    let identity = age::x25519::Identity::generate();
    std::fs::write(file, format!("{}\n", identity.to_string().expose_secret()))?;
    Ok(())
}

fn read_identity(file: &str) -> Result<age::x25519::Identity, Problem> {
    Ok(std::fs::read_to_string(file)?.trim().parse::<age::x25519::Identity>()?)
}

fn show_recipient(file: &str) -> Result<(), Problem> {
    writeln!(std::io::stdout(), "{}", read_identity(file)?.to_public())?;
    Ok(())
}

fn decrypt(identity: &str, file: &str) -> Result<(), Problem> {
    let (identity, content) = (read_identity(identity)?, std::fs::read(file)?);
    let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(content.as_slice()))?;
    let mut plaintext = Vec::new();
    decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))?.read_to_end(&mut plaintext)?;
    std::io::stdout().write_all(&plaintext)?;
    Ok(())
}

//! The minimal work of a generator, for `make bench`: reads the same files as nixos-nspawn-generator and makes the same
//! directories, files and links, with as few system calls as possible, but parses, checks and renders nothing. Arguments: the
//! directory of intents, the output directory, and a list of what to make, one `d PATH`, `f SIZE PATH` or `l TARGET PATH` a
//! line. The list is one more file to read than the generator has; the files have the right size and meaningless contents.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::process::ExitCode;

use rustix::fs::{CWD, Dir, Mode, OFlags, fstat, mkdirat, openat, symlinkat};

const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW);
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY);
const NEW: OFlags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::CLOEXEC);

/// Exits with 2 if it fails: `measure` accepts 1, with which the generator refuses something.
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [intents, output, list] = arguments.as_slice() else {
        return Err("usage: floor INTENTS OUTPUT LIST".into());
    };
    read_all(intents)?;
    write_all(output, &std::fs::read_to_string(list)?)?;
    Ok(())
}

fn read_all(folder: &str) -> Result<(), Box<dyn Error>> {
    let folder = openat(CWD, folder, FOLDER, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&folder)? {
        let name = entry?.file_name().to_owned();
        if name.to_bytes().ends_with(b".json") {
            names.push(name);
        }
    }
    for name in names {
        let fd = openat(&folder, &name, READ, Mode::empty())?;
        let size = usize::try_from(fstat(&fd)?.st_size)?;
        let mut bytes = vec![0; size + 1];
        let length = File::from(fd).read(&mut bytes)?;
        bytes.truncate(length);
    }
    Ok(())
}

fn write_all(output: &str, list: &str) -> Result<(), Box<dyn Error>> {
    let output = openat(CWD, output, FOLDER, Mode::empty())?;
    let mut bytes = Vec::new();
    for line in list.lines() {
        let (kind, rest) = line.split_once(' ').ok_or("a kind and a path")?;
        if kind == "d" {
            mkdirat(&output, rest, Mode::from_raw_mode(0o755))?;
            continue;
        }
        let (what, path) = rest.split_once(' ').ok_or("two words")?;
        if kind == "l" {
            symlinkat(what, &output, path)?;
            continue;
        }
        let mut file = File::from(openat(&output, path, NEW, Mode::from_raw_mode(0o644))?);
        let size: usize = what.parse()?;
        if bytes.len() < size {
            bytes.resize(size, b'#');
        }
        file.write_all(&bytes[..size])?;
    }
    Ok(())
}

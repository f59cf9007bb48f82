//! Finds the network namespace of a running container by what the kernel reports about all processes. Neither
//! machined nor systemd is asked: their state files are private, and a request from a unit that is just starting
//! could deadlock.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// Returns the container's network namespace; `None` if it does not run.
pub(crate) fn network(root: &Path, name: &MachineName) -> Option<OwnedFd> {
    let unit = unit_name(name);
    let processes = fs::read_dir(root.join("proc")).ok()?.flatten();
    let numbers =
        processes.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    numbers.map(|entry| entry.path()).find_map(|path| {
        // Everything is read through one descriptor: the PID may be reused meanwhile.
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let process = openat(CWD, &path, flags, Mode::empty()).ok()?;
        let first = is_first(&text(&process, "status")?) && is_in(&text(&process, "cgroup")?, &unit);
        first.then(|| openat(&process, "ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok())?
    })
}

fn text(process: &OwnedFd, name: &str) -> Option<String> {
    let fd = openat(process, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Returns whether a process is PID 1 of a namespace directly below ours: `NSpid: 4711 1` (`proc_pid_status(5)`). In
/// a nested container it has one more number.
fn is_first(status: &str) -> bool {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| {
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        numbers.len() == 2 && numbers[1] == "1"
    })
}

/// Returns whether a control group belongs to the unit. Only the first component that is not a slice counts, since a
/// container chooses the names below its unit.
fn is_in(cgroup: &str, unit: &str) -> bool {
    cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2)).any(|path| {
        let first = path.split('/').find(|part| !part.is_empty() && !part.ends_with(".slice"));
        first == Some(unit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_processes() {
        assert!(is_first("Name:\tsystemd\nNSpid:\t4711\t1\nVmPeak:\t1 kB\n"));
        assert!(!is_first("NSpid:\t1\n"));
        assert!(!is_first("NSpid:\t4711\t23\n"));
        assert!(!is_first("NSpid:\t4711\t23\t1\n"));
        assert!(!is_first("Name:\tsystemd\n"));
    }

    #[test]
    fn control_groups() {
        let unit = "systemd-nspawn@web.service";
        assert!(is_in("0::/machine.slice/systemd-nspawn@web.service/payload/init.scope\n", unit));
        assert!(is_in("0::/machine.slice/machine-a.slice/systemd-nspawn@web.service\n", unit));
        assert!(is_in(
            "4:pids:/x\n1:name=systemd:/machine.slice/systemd-nspawn@web.service/payload\n0::/\n",
            unit
        ));
        // Another container cannot impersonate it.
        assert!(!is_in(
            "0::/machine.slice/systemd-nspawn@other.service/payload/systemd-nspawn@web.service\n",
            unit
        ));
        assert!(!is_in("0::/machine.slice/systemd-nspawn@web.service.d\n", unit));
        assert!(!is_in("0::/\n", unit));
    }
}

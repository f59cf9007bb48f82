//! Writes entries with custom fields to the journal, in its native protocol (systemd's JOURNAL_NATIVE_PROTOCOL).

use std::os::unix::net::UnixDatagram;

use crate::base::host::Host;

/// The socket of systemd-journald.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Sends an entry. Ignores errors, because a host may have no journal.
pub(crate) fn send(host: &Host, fields: &[(&str, String)]) {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    // A journal that does not read must not stop an update.
    if socket.set_nonblocking(true).is_err() {
        return;
    }
    let _ = socket.send_to(&entry(fields), host.path(SOCKET));
}

/// Encodes fields. A value of several lines is preceded by its length.
fn entry(fields: &[(&str, String)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.extend(name.bytes());
        if value.contains('\n') {
            bytes.push(b'\n');
            bytes.extend((value.len() as u64).to_le_bytes());
        } else {
            bytes.push(b'=');
        }
        bytes.extend(value.bytes());
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_and_several() {
        let fields = [("A", "x=y".to_owned()), ("B", "1\n2".to_owned())];
        assert_eq!(entry(&fields), b"A=x=y\nB\n\x03\0\0\0\0\0\0\x001\n2\n");
    }
}

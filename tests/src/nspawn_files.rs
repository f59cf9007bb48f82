//! Generates `.nspawn` files for the comparison of our checks with systemd's parser: valid values of every setting, changed
//! at random, between lines of every other kind. The same seed gives the same files.

use systemd_unit_syntax::settings::{Kind, SETTINGS, Setting};

/// A small generator of random numbers (xorshift64*).
pub struct Random(u64);

impl Random {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from((self.next() >> 16) % (end.max(1) as u64)).unwrap_or(0)
    }

    /// Returns true once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Returns one of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// Returns a `.nspawn` file.
pub fn nspawn_file(random: &mut Random) -> Vec<u8> {
    let mut text = Vec::new();
    if random.once_in(20) {
        text.extend(random.pick(&[
            b"\xef\xbb\xbf".as_slice(),
            b"Boot=yes\n",
            b"# comment\n",
            b"nothing\n",
            b"=\n",
        ]));
    }
    for _ in 0..=random.below(3) {
        let section = random.pick(&["Exec", "Files", "Network"]);
        text.extend(header(random, section));
        for _ in 0..random.below(25) {
            text.extend(line(random, section));
            text.extend(end(random));
        }
    }
    if random.once_in(12) {
        let at = random.below(text.len());
        let noise: &[&[u8]] = &[
            b"\0",
            b"\r",
            b"\n",
            b"\\\n",
            b"\xff",
            b"\xc3",
            b"[",
            b"]",
            b"=",
            b" ",
            b"\xef\xbf\xbf",
            b"\t",
            b"\"",
            b"\x0b",
        ];
        let noise = random.pick(noise);
        text.splice(at..at, noise.iter().copied());
    }
    text
}

fn header(random: &mut Random, section: &str) -> Vec<u8> {
    let name = match random.below(60) {
        0 => "exec",
        1 => "X-Exec",
        2 => "Unit",
        3 => "Exe",
        4 => "Exec ",
        _ => section,
    };
    match random.below(150) {
        0 => format!("[{name}\n"),
        1 => format!("[{name}] # comment\n"),
        2 => format!("[{name}*]\n"),
        3 => format!("[{name}\"]\n"),
        4 => "[]\n".to_owned(),
        5 => format!("  [{name}]  \n"),
        _ => format!("[{name}]\n"),
    }
    .into_bytes()
}

fn end(random: &mut Random) -> &'static [u8] {
    match random.below(40) {
        0 => b"\r\n",
        1 => b"\r",
        2 => b" \\\n",
        3 => b"\\\n# comment\n  ",
        4 => b"  \n\n",
        5 => b"\\ \n",
        _ => b"\n",
    }
}

fn line(random: &mut Random, section: &str) -> Vec<u8> {
    match random.below(50) {
        0 => return b"; comment \xff".to_vec(),
        1 => return b"nothing".to_vec(),
        2 => return b"=value".to_vec(),
        3 => return b"X-Mine=1".to_vec(),
        4 => {
            return format!(
                "{}=1",
                random.pick(&["Bot", "Bindd", "boot", "Portt", "Nonsense", "Kill Signal", "é"])
            )
            .into_bytes();
        }
        _ => {}
    }
    // Mostly one of the section.
    let setting = loop {
        let setting = &SETTINGS[random.below(SETTINGS.len())];
        if setting.section == section || random.once_in(60) {
            break setting;
        }
    };
    let value = value(random, setting);
    let equals = random.pick(&["=", "=", "=", " = ", "=\t"]);
    format!("{}{equals}{value}", setting.key).into_bytes()
}

/// Returns a value: a valid one, an almost valid one, or either with a random change.
fn value(random: &mut Random, setting: &Setting) -> String {
    // These make systemd stop reading.
    let stops = matches!(setting.kind, Kind::Interfaces | Kind::CpuSet);
    if random.once_in(25) && !stops {
        return String::new();
    }
    let mut value = random.pick(pool(setting.kind)).to_owned();
    if random.once_in(6) && !stops {
        // A value of some other kind.
        let other = SETTINGS[random.below(SETTINGS.len())].kind;
        value = random.pick(pool(other)).to_owned();
    }
    let changes = if random.once_in(if stops { 12 } else { 2 }) { 1 + random.below(3) } else { 0 };
    for _ in 0..changes {
        value = changed(random, &value);
    }
    value
}

fn changed(random: &mut Random, value: &str) -> String {
    const PIECES: &[&str] = &[
        ":",
        "+",
        "-",
        "/",
        "\\",
        "\\\\",
        "'",
        "\"",
        " ",
        ",",
        ".",
        "..",
        "0",
        "1",
        "9",
        "a",
        "Z",
        "x",
        "%",
        "=",
        "~",
        "_",
        "é",
        "0x",
        "0b1",
        "0o7",
        "K",
        "s",
        "\u{b}",
        "\t",
        "infinity",
        "65536",
        "4294967295",
        "18446744073709551615",
        "yes",
        "//",
        "/./",
        "/../",
        "#",
        ";",
        "\u{1}",
        "\u{7f}",
        "min",
        "E",
        "1.5",
    ];
    let mut chars: Vec<char> = value.chars().collect();
    let at = random.below(chars.len() + 1);
    match random.below(7) {
        0 if at < chars.len() => drop(chars.remove(at)),
        1 if at < chars.len() => chars.truncate(at),
        2 if at + 1 < chars.len() => chars.swap(at, at + 1),
        3 if at < chars.len() => {
            let c = chars[at];
            chars[at] = if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        }
        4 => {
            let more: Vec<char> = chars.clone();
            chars.push(random.pick(&[' ', ':', ',', '-']));
            chars.extend(more);
        }
        _ => drop(chars.splice(at..at, random.pick(PIECES).chars())),
    }
    chars.into_iter().collect()
}

fn pool(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Boolean | Kind::Tristate => &["yes", "no", "1", "0", "True", "off", "y", "f", "maybe", "2"],
        Kind::Choice { .. } => &[
            "off",
            "no",
            "yes",
            "auto",
            "copy",
            "bind",
            "symlink",
            "delete",
            "copy-host",
            "replace-stub",
            "bind-uplink",
            "guest",
            "try-guest",
            "host",
            "try-host",
            "state",
            "overlay",
            "chown",
            "map",
            "foreign",
            "0",
            "true",
            "copy_host",
        ],
        Kind::Words => {
            &["a b c", "A=1 'B=2 3'", "\"x y\" z", "'unclosed", "a\\ b", "A=\"it's\"", "", "a\"b c\"d"]
        }
        Kind::Text => &["root", "user name", "a'b", "a\\b", "1000", "ü"],
        Kind::Path => &["/", "/root", "/a//b/./c", "/../a", "/a/../b", "a", "/a/..", ".", "/a/b/"],
        Kind::RawPath => &["/dev", "/a b", "/..", "dev", "/a:b"],
        Kind::PivotRoot => {
            &["/a", "/a:/b", "/a/:/b/", "/a:", ":/b", "/a/./b", "/a//b", "/a/..:/b", "a:b", "/", "/a\\:b:/c"]
        }
        Kind::Capabilities => &[
            "CAP_NET_ADMIN",
            "cap_chown CAP_KILL",
            "all",
            "KILL",
            "5 62",
            "63",
            "CAP_NONE CAP_CHOWN",
            "-1",
            "0x1f",
        ],
        Kind::Signal => &[
            "SIGTERM",
            "TERM",
            "15",
            "64",
            "65",
            "0",
            "RTMIN+3",
            "SIGRTMAX-2",
            "RTMIN",
            "RTMIN+31",
            "SIGRTMIN+030",
            "sigterm",
            "RTMAX-0",
        ],
        Kind::Personality => &["x86-64", "x86", "arm64", "x86_64", "s390x"],
        Kind::Id128 => &[
            "0123456789abcdef0123456789abcdef",
            "01234567-89ab-cdef-0123-456789abcdef",
            "urn:uuid:01234567-89ab-cdef-0123-456789abcdef",
            "00000000000000000000000000000000",
            "01234567-89abcdef0123456789abcdef",
            "xyz",
        ],
        Kind::PrivateUsers => &[
            "yes",
            "no",
            "pick",
            "identity",
            "managed",
            "65536",
            "65536:65536",
            "0:1",
            "65535",
            "4294967295",
            "1:0",
            "10:4294967290",
            "524288:0x10000",
            "01",
            "2:x",
        ],
        Kind::Number => &["0", "10", "0x10", "-1", "4294967296", "010", "08", "x"],
        Kind::SystemCalls => &["@mount", "~@mount chown", "read write", "~", "no_such_call", "a\\ b"],
        Kind::AddressFamilies => &[
            "AF_INET AF_INET6",
            "~AF_UNIX",
            "none",
            "af_inet",
            "AF_NONE",
            "AF_LOCAL",
            "'AF_INET'",
            "AF_ROUTE AF_VSOCK",
            "~none",
        ],
        Kind::Limit => &[
            "infinity",
            "1024",
            "1024:2048",
            "2048:1024",
            "10:infinity",
            "infinity:10",
            "8M",
            "1G512M",
            "1.5K",
            "1K:1M:",
            "10s",
            "1min 30s",
            "1h:2h",
            "-5",
            "+19",
            "+20",
            "40",
            "41",
            "0x10",
            "1:2:3",
            "5ms",
            "1.5s",
            "12.34 .56",
            "100us:1s",
            "16E",
            "3.K",
            "1d12h",
            "+1.5K",
            "10μs",
        ],
        Kind::OomScore => &["0", "-1000", "1000", "1001", "-1001", "0x10", "x", " 5"],
        Kind::CpuSet => &["0", "0-3", "0-3,5 7", "0,0,1", "'1' 2", "5-5"],
        Kind::Hostname => &[
            "web",
            "web.example.com",
            "a-b",
            "-a",
            "a-",
            "a..b",
            "a.",
            "A1",
            "a_b",
            "localhost.",
            "ü",
            "x123456789x123456789x123456789x123456789x123456789x123456789x123x",
        ],
        Kind::Mount => &[
            "/a",
            "/a:/b",
            "/a:/b:rbind",
            "/a:/b:ro,idmap",
            ":/b",
            "+/a",
            "+/a:/b",
            "a:/b",
            "/a\\:b:/c",
            "/a:",
            "/a:b",
            "+a",
            "/a /b:/c",
            "",
        ],
        Kind::TemporaryFileSystem => &["/tmp", "/tmp:mode=0700", "/tmp:", "tmp", ":mode=1", "/a\\:b:size=1M"],
        Kind::Overlay => &[
            "/a:/b",
            "/a:/b:/c",
            "/a::/c",
            "+/a:+/b:/c",
            "/a",
            "a:b",
            "/a:/b:c",
            "/a:/b:/c:/d",
            ":/a:/b",
            "/a\\:x:/b",
            "/a:",
            "+a:/b",
        ],
        Kind::Users => &[
            "alice",
            "alice bob",
            "_x",
            "1a",
            "a.b",
            "a-b",
            "1000",
            "root root",
            "abcdefghijklmnopqrstuvwxyz012345",
            "alice 5",
        ],
        Kind::Shell => &["yes", "no", "/bin/sh", "/bin//sh", "bin/sh", "/bin/../sh", "copy"],
        Kind::Interfaces => &["eth0", "eth0 eth1", "eth0:host0", "a:b c:d", "eth0:", "vz-a"],
        Kind::InterfacePair => &[
            "ve-a",
            "ve-a:host0",
            "ve-a:",
            "ve-a:b:c",
            ":host0",
            "ve-a:all",
            "1",
            "ve-a:1",
            "sixteen-letters0",
            "fifteen-letters",
        ],
        Kind::Interface => &[
            "br0",
            "br-0.1",
            "1",
            "0",
            "all",
            "default",
            "a/b",
            "a:b",
            "sixteen-letters0",
            "fifteen-letters",
            "a%d",
            ".",
            "..",
            "0x10",
            "99999999999",
            "é",
        ],
        Kind::Zone => &["home", "a", "twelve-bytes", "thirteen-byte", "a/b", "1", "ü"],
        Kind::Port => &[
            "80",
            "tcp:80",
            "udp:53:53",
            "8080:80",
            "tcp:8080:80",
            "0",
            "65536",
            "sctp:80",
            "tcp:1:2:3",
            "0x50",
            "80:",
            "TCP:80",
            "081",
            "tcp: 80",
        ],
    }
}

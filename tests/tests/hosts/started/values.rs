//! Random options of a container that can start on a throwaway host, each with the question that shows its value there.

use nixos_nspawn_tests::random::Random;
use serde_json::{Map, Value, json};

/// Characters that have a meaning somewhere between the intent and the container.
const HOSTILE: &[u8] = br#" %$\"'#;:,=[]{}()*?!|&<>~`^@+-._/0aZ"#;

/// Capabilities and their numbers (`linux/capability.h`).
const ADDED: [(&str, u32); 3] = [("CAP_SYS_TIME", 25), ("CAP_BPF", 39), ("CAP_IPC_LOCK", 14)];
const DROPPED: [(&str, u32); 3] = [("CAP_SYS_CHROOT", 18), ("CAP_MKNOD", 27), ("CAP_NET_RAW", 13)];

/// Limits of `/proc/PID/limits`, and the unit there.
const RLIMITS: [(&str, &str, &str); 4] = [
    ("NOFILE", "Max open files", "files"),
    ("MSGQUEUE", "Max msgqueue size", "bytes"),
    ("SIGPENDING", "Max pending signals", "signals"),
    ("CORE", "Max core file size", "bytes"),
];

/// A question about a started container.
pub(crate) struct Check {
    /// A shell command of the host. `$leader` is the container's first process, `$root` its root directory, and `$unit`
    /// its unit.
    pub(crate) ask: String,
    /// The answer, without white space at its end.
    pub(crate) answer: String,
}

/// A random container.
pub(crate) struct Sample {
    /// Its name.
    pub(crate) name: String,
    /// Its options.
    pub(crate) options: Map<String, Value>,
    /// Shell commands that make what the options refer to.
    pub(crate) prepare: String,
    /// What must be true of it.
    pub(crate) checks: Vec<Check>,
}

/// Quotes a text for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn hostile(random: &mut Random, length: u64) -> String {
    let length = 1 + random.below(length);
    (0..length).map(|_| char::from(HOSTILE[random.below(HOSTILE.len() as u64) as usize])).collect()
}

/// Returns a name of a file without `/`. At its end, a blank or a backslash would be refused.
fn file_name(random: &mut Random) -> String {
    format!("x{}x", hostile(random, 8).replace('/', "y"))
}

/// Returns a name of a file that PID 1 can pass on.
fn plain_name(random: &mut Random) -> String {
    file_name(random).replace([' ', '\\'], "z")
}

impl Sample {
    /// Returns the sample of this number.
    pub(crate) fn new(number: usize, random: &mut Random) -> Self {
        let mut sample = Self {
            name: format!("c{number}"),
            options: Map::new(),
            prepare: String::new(),
            checks: Vec::new(),
        };
        sample.service(random);
        sample.first_process(random);
        sample.name_spaces(random);
        sample.files(random);
        sample.network(number, random);
        sample
    }

    fn set(&mut self, option: &str, value: Value) {
        self.options.insert(option.to_owned(), value);
    }

    fn check(&mut self, ask: String, answer: impl ToString) {
        self.checks.push(Check { ask, answer: answer.to_string() });
    }

    /// Limits and other settings of the unit, as PID 1 has read them.
    fn service(&mut self, random: &mut Random) {
        let property = |name: &str| format!("systemctl show --value -p {name} $unit");
        for (option, name) in [("memoryMax", "MemoryMax"), ("memoryHigh", "MemoryHigh")] {
            let number = 200 + random.below(1800);
            let (value, bytes) = match random.below(3) {
                0 => (json!(format!("{number}M")), number << 20),
                1 => (json!(number << 20), number << 20),
                _ => (json!(format!("{number}.5M")), (number << 20) + (1 << 19)),
            };
            self.set(option, value);
            self.check(property(name), bytes);
        }
        let (percent, zeros) = (1 + random.below(9), random.below(2));
        let answer = if zeros == 0 { format!("{percent}0ms") } else { format!("{percent}s") };
        self.set("cpuQuota", json!(format!("{percent}{}%", if zeros == 0 { "" } else { "00" })));
        self.check(property("CPUQuotaPerSecUSec"), answer);
        for (option, name) in [("cpuWeight", "CPUWeight"), ("ioWeight", "IOWeight")] {
            let weight = 1 + random.below(10_000);
            self.set(option, json!(weight));
            self.check(property(name), weight);
        }
        let (tasks, minutes) = (100 + random.below(10_000), 2 + random.below(50));
        self.set("tasksMax", json!(tasks));
        self.check(property("TasksMax"), tasks);
        self.set("timeoutStartSec", json!(format!("{minutes}min")));
        self.check(property("TimeoutStartUSec"), format!("{minutes}min"));
        let other = format!("lab-{}.service", random.below(100));
        self.set(["after", "wants"][random.below(2) as usize], json!([other]));
        self.check(
            format!("systemctl show --value -p After -p Wants $unit | tr ' ' '\\n' | grep -xc {other}"),
            1,
        );
    }

    /// The environment, limits and capabilities of the first process.
    fn first_process(&mut self, random: &mut Random) {
        let values: Vec<String> = (0..3).map(|_| hostile(random, 30)).collect();
        let environment = values.iter().enumerate().map(|(at, value)| (format!("LAB_{at}"), json!(value)));
        self.set("environment", Value::Object(environment.collect()));
        for (at, value) in values.iter().enumerate() {
            // A mark at the end shows blanks there.
            self.check(
                format!("tr '\\0' '\\n' < /proc/$leader/environ | sed -n 's/^LAB_{at}=\\(.*\\)/\\1|/p'"),
                format!("{value}|"),
            );
        }
        let (name, line, unit) = RLIMITS[random.below(4) as usize];
        let (soft, more) = (300 + random.below(1000), random.below(1000));
        self.set("rlimits", json!({name: format!("{soft}:{}", soft + more)}));
        self.check(
            format!("sed -n 's/^{line} *//p' /proc/$leader/limits | tr -s ' '"),
            format!("{soft} {} {unit}", soft + more),
        );
        let score = random.below(1001);
        self.set("oomScoreAdjust", json!(score));
        self.check("cat /proc/$leader/oom_score_adj".to_owned(), score);
        let added: Vec<_> = ADDED.into_iter().filter(|_| random.below(2) == 0).collect();
        let dropped: Vec<_> = DROPPED.into_iter().filter(|_| random.below(2) == 0).collect();
        let names = |list: &[(&str, u32)]| list.iter().map(|(name, _)| json!(name)).collect::<Vec<_>>();
        self.set("capabilities", json!({"add": names(&added), "drop": names(&dropped)}));
        let has =
            |bit: u32| format!("echo $((0x$(sed -n 's/^CapBnd:\\t//p' /proc/$leader/status) >> {bit} & 1))");
        added.iter().for_each(|(_, bit)| self.check(has(*bit), 1));
        dropped.iter().for_each(|(_, bit)| self.check(has(*bit), 0));
        let host = format!("h{}.example", random.below(1000));
        self.set("hostname", json!(host));
        self.check("nsenter -t $leader -u uname -n".to_owned(), host);
    }

    /// The user namespace, the root directory, and devices.
    fn name_spaces(&mut self, random: &mut Random) {
        let (mapped, ephemeral) = (random.below(2) == 0, random.below(3) == 0);
        self.set("userNamespacing", json!(mapped));
        self.check(
            "[ $(readlink /proc/$leader/ns/user) = $(readlink /proc/self/ns/user) ] && echo false || echo true".to_owned(),
            mapped,
        );
        self.set("ephemeral", json!(ephemeral));
        self.check(
            format!("[ $(stat -c %d:%i $root/.) = $(stat -c %d:%i /var/lib/machines/{}) ] && echo false || echo true", self.name),
            ephemeral,
        );
        let tun = random.below(2) == 0;
        self.set("tun", json!(tun));
        // nspawn makes this device in any case.
        self.check("[ -c $root/dev/net/tun ] && echo true || echo false".to_owned(), true);
        if !mapped {
            self.set("kernelLog", json!(true));
            self.check("[ -c $root/dev/kmsg ] && echo true || echo false".to_owned(), true);
        }
    }

    /// Mounts, hidden paths and credentials.
    fn files(&mut self, random: &mut Random) {
        let mut mounts = Vec::new();
        for at in 0..3 {
            let (source, inside) =
                (format!("/srv/{}/{at}{}", self.name, file_name(random)), file_name(random));
            let inside = format!("/lab/{at}{inside}");
            let (content, read_only) = (hostile(random, 20), random.below(2) == 0);
            mounts.push(json!({"source": source, "destination": inside, "readOnly": read_only}));
            let [source, inside] = [quoted(&source), quoted(&inside)];
            self.prepare +=
                &format!("mkdir -p {source}; printf '%s|' {} > {source}/file\n", quoted(&content));
            self.check(format!("cat $root{inside}/file"), format!("{content}|"));
            self.check(
                format!(
                    "nsenter -t $leader -a -- touch {inside}/new 2> /dev/null && echo false || echo true"
                ),
                read_only,
            );
        }
        self.set("bindMounts", json!(mounts));
        let (path, mebibytes) = (format!("/lab-{}", random.below(100)), 1 + random.below(8));
        self.set("tmpfs", json!([format!("{path}:size={mebibytes}M,mode=1777")]));
        self.check(
            format!("echo $(($(stat -f -c '%S * %b' $root{path}) >> 20)) $(stat -f -c %T $root{path}) $(stat -c %a $root{path})"),
            format!("{mebibytes} tmpfs 1777"),
        );
        let hidden = format!("/hidden/{}", file_name(random));
        self.prepare += &format!("mkdir -p /var/lib/machines/{}{}\n", self.name, quoted(&hidden));
        self.set("inaccessiblePaths", json!([hidden]));
        self.check(format!("stat -c '%a %F' $root{}", quoted(&hidden)), "0 directory");
        let (id, content) = (format!("id{}", random.below(100)), hostile(random, 20));
        let path = format!("/srv/{}/{}", self.name, plain_name(random));
        self.prepare += &format!("printf '%s|' {} > {}\n", quoted(&content), quoted(&path));
        self.set("credentials", json!([{"id": id, "path": path}]));
        self.check(format!("cat $root/run/host/credentials/{id}"), format!("{content}|"));
    }

    /// One kind of network, and what leads to it.
    fn network(&mut self, number: usize, random: &mut Random) {
        let links = "ls /proc/$leader/net/dev_snmp6 | sort | tr '\\n' ' '".to_owned();
        match random.below(4) {
            0 => {
                self.set("network", json!("none"));
                self.check(links, "lo");
            }
            1 => {
                self.set("network", json!("host"));
                let same =
                    "[ $(readlink /proc/$leader/ns/net) = $(readlink /proc/self/ns/net) ] && echo host";
                self.check(same.to_owned(), "host");
            }
            2 => {
                let zone = format!("z{}", random.below(4));
                self.set("zone", json!(zone));
                self.check(links, "host0 lo");
                self.check(format!("ip -o link show master vz-{zone} | grep -c vb-{}@", self.name), 1);
            }
            _ => {
                let (port, veth) = (20_000 + number as u64, format!("x{number}"));
                self.set(
                    "forwardPorts",
                    json!([{"hostPort": port, "containerPort": 80, "startOnConnect": true}]),
                );
                let socket = format!("nixos-nspawn-proxy@{}-tcp-{port}.socket", self.name);
                self.check(
                    format!("systemctl start {socket}; ss -Hltn 'sport = :{port}' | grep -q . && echo open; systemctl stop {socket}"),
                    "open",
                );
                self.set("extraVeths", json!([format!("{veth}:lan")]));
                self.check(links, "host0 lan lo");
                self.check(format!("ip -o link show dev {veth} | grep -c ."), 1);
            }
        }
    }
}

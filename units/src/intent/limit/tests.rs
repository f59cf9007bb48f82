//! Values of limits: what is taken, what is refused and why.

use super::*;

#[test]
fn memory() {
    for good in ["1", "1073741824", "2G", "1.5G", "512M", "1E", "50%", "0.01%", "33.33%", "100%", "infinity"]
    {
        assert!(good.parse::<MemoryLimit>().is_ok(), "{good:?}");
    }
    for bad in [
        "",
        "lots",
        "0",
        "0M",
        "0%",
        "101%",
        "2GB",
        "2 G",
        "2g",
        "-1",
        "+1",
        "1.G",
        ".5G",
        "1.5",
        "16E",
        "1e3",
        "50.123%",
        "50 %",
        "Infinity",
        "18446744073709551615",
    ] {
        assert!(bad.parse::<MemoryLimit>().is_err(), "{bad:?}");
    }
}

#[test]
fn quotas_weights_and_tasks() {
    for good in ["1%", "0.01%", "150%", "12.5%", "21474836%"] {
        assert!(good.parse::<CpuQuota>().is_ok(), "{good:?}");
    }
    for bad in ["", "150", "0%", "0.0%", "-5%", "1.234%", "99999999%", "%", "a%"] {
        assert!(bad.parse::<CpuQuota>().is_err(), "{bad:?}");
    }
    assert!("idle".parse::<CpuWeight>().is_ok() && "idle".parse::<IoWeight>().is_err());
    for bad in ["0", "10001", "0100", "-1", "1.5", ""] {
        assert!(bad.parse::<CpuWeight>().is_err() && bad.parse::<IoWeight>().is_err(), "{bad:?}");
    }
    for good in ["1", "4096", "50%", "infinity"] {
        assert!(good.parse::<TasksMax>().is_ok(), "{good:?}");
    }
    for bad in ["0", "2K", "-1", "010", "101%", "many"] {
        assert!(bad.parse::<TasksMax>().is_err(), "{bad:?}");
    }
}

#[test]
fn resource_limits() {
    let fault = |name: &str, limit: &str| {
        let limit = limit.parse::<Rlimit>().map_err(|error| error.to_string());
        limit.map(|limit| rlimit_fault(&name.parse().expect("a name"), &limit)).unwrap_or_else(Some)
    };
    for (name, limit) in [
        ("NOFILE", "1024:4096"),
        ("NOFILE", "infinity"),
        ("NOFILE", "1024:infinity"),
        ("CORE", "0"),
        ("AS", "4G:infinity"),
        ("STACK", "8M"),
        ("CPU", "30s:1min"),
        ("CPU", "1min 30s"),
        ("RTTIME", "500000"),
        ("RTTIME", "500ms:1s"),
        ("NICE", "+5:-5"),
        ("NICE", "20"),
    ] {
        assert_eq!(fault(name, limit), None, "{name} {limit}");
    }
    for (name, limit) in [
        ("NOFILE", "lots"),
        ("NOFILE", "1K"),
        ("NOFILE", "4096:1024"),
        ("NOFILE", "infinity:1024"),
        ("NOFILE", "1:2:3"),
        ("NOFILE", "1:"),
        ("NOFILE", ""),
        ("AS", "4 G"),
        ("CPU", "soon"),
        ("NICE", "0"),
        ("NICE", "-21"),
        ("NICE", "41"),
        ("NPROC", "-1"),
    ] {
        assert!(fault(name, limit).is_some(), "{name} {limit}");
    }
    assert!("FILES".parse::<RlimitName>().is_err() && "nofile".parse::<RlimitName>().is_err());
}

#[test]
fn numbers_stay_numbers() {
    let limit: MemoryLimit = serde_json::from_str("1048576").expect("a number");
    assert_eq!(serde_json::to_string(&limit).expect("JSON"), "1048576");
    let limit: MemoryLimit = serde_json::from_str("\"1M\"").expect("text");
    assert_eq!(serde_json::to_string(&limit).expect("JSON"), "\"1M\"");
    for bad in ["-1", "0", "1.5", "true", "null", "[]"] {
        assert!(serde_json::from_str::<MemoryLimit>(bad).is_err(), "{bad}");
    }
}

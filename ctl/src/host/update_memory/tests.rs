use super::*;

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn arguments_are_known_by_their_hash() {
    let hash = BuiltFrom::hash_of(&words("--access-tokens github.com=secret"));
    assert_eq!(hash, BuiltFrom::hash_of(&words("--access-tokens github.com=secret")));
    assert_ne!(hash, BuiltFrom::hash_of(&words("--access-tokens github.com=other")));
    assert_ne!(BuiltFrom::hash_of(&words("ab c")), BuiltFrom::hash_of(&words("a bc")));
    assert_eq!(hash.len(), 32);
}

#[test]
fn reasons_have_no_secrets() {
    let reason = "https://me:pw@h/r: could not be resolved";
    let failure = Failure::now(FailureKind::Failed, reason, None);
    assert_eq!(failure.reason, "https://***@h/r: could not be resolved");
}

#[test]
fn what_failed_is_refused_until_it_works() {
    let path = |name: &str| format!("/nix/store/{}-{name}", "a".repeat(32)).parse::<StorePath>().unwrap();
    let failed = |name: &str| Failure::now(FailureKind::Failed, name, Some(path(name)));
    let mut memory = UpdateMemory::default();
    memory.fails(Failure::now(FailureKind::RolledBack, "to generation 1", Some(path("one"))));
    memory.fails(failed("two"));
    memory.fails(Failure::now(FailureKind::Failed, "no network", None));
    assert_eq!(memory.failure.as_ref().unwrap().reason, "no network");
    for name in ["one", "two"] {
        assert!(memory.failed(&path(name)).is_some(), "{name}");
    }
    memory.up_to_date(Some(&path("current")));
    assert!(memory.failure.is_none() && memory.failed(&path("two")).is_some());
    memory.wanted(&path("two"));
    assert!(memory.failed(&path("two")).is_none() && memory.failed(&path("one")).is_some());
    for number in 0..REFUSED {
        memory.fails(failed(&number.to_string()));
    }
    assert!(memory.failed(&path("one")).is_none() && memory.failed(&path("0")).is_some());
    let mut other = memory.clone();
    other.works(&path("three"));
    assert!(other.failure.is_none() && other.failed(&path("31")).is_some());
    memory.up_to_date(Some(&path("31")));
    assert!(memory.failure.is_some(), "it was kept although it failed");
}

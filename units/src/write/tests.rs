use std::borrow::Cow;
use std::fs;
use std::time::Duration;

use super::*;

fn file(path: &str) -> (String, Entry) {
    (path.to_owned(), Entry::File(format!("# {path}\n")))
}

/// The list has the time at which the run began; other files have their own. A list that is as planned stays as it is.
#[test]
fn the_list_of_writable_mounts_is_as_old_as_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let ago = |seconds| now - Duration::from_secs(seconds);
    let write = |began: SystemTime, list: &str| {
        let writer = Writer::open(directory.path(), began).unwrap();
        let list = ("nixos-nspawn/writable".to_owned(), Entry::File(list.to_owned()));
        writer.batch().write(None, vec![list, file("nixos-nspawn/web.nspawn"), file("writable")]);
        assert!(writer.finish().is_empty());
        let modified = |path: &str| fs::metadata(directory.path().join(path)).unwrap().modified().unwrap();
        assert!(modified("nixos-nspawn/web.nspawn").min(modified("writable")) > ago(10));
        modified("nixos-nspawn/writable")
    };
    assert_eq!(write(ago(100), "[web]\n"), ago(100));
    assert_eq!(write(ago(50), "[web]\n"), ago(100));
    assert_eq!(write(ago(20), "[db]\n"), ago(20));
}

/// An error names the container that has no links for it; of a zone's .network file, also the zone, whose containers all
/// need it.
#[test]
fn an_error_names_the_containers_that_are_not_started() {
    let [web, db] = ["web", "db"].map(|name| name.parse::<MachineName>().unwrap());
    let end = ", container 'web' is not started with the host";
    for (failing, end) in [
        (
            "nixos-nspawn/51-nixos-nspawn-vz-lab.network",
            ", container 'web' and all others of zone 'lab' are not started",
        ),
        ("nixos-nspawn/50-nixos-nspawn-web.network", end),
        ("systemd-nspawn@web.service.d/50-nixos-nspawn.conf", end),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join(failing)).unwrap();
        let link = |name: &MachineName| {
            let path = format!("machines.target.wants/systemd-nspawn@{name}.service");
            (path, Entry::Link(Cow::Borrowed("../systemd-nspawn@.service")))
        };
        let writer = Writer::open(directory.path(), SystemTime::now()).unwrap();
        writer.batch().write(Some(&web), vec![file("nixos-nspawn/web.nspawn"), file(failing), link(&web)]);
        writer.batch().write(Some(&db), vec![file("nixos-nspawn/db.nspawn"), link(&db)]);
        let errors: Vec<String> = writer.finish().iter().map(WriteError::to_string).collect();
        let linked = |name| directory.path().join(link(name).0).is_symlink();
        assert_eq!((linked(&web), linked(&db)), (false, true), "{failing}");
        let start = format!("{}: cannot be written: ", directory.path().join(failing).display());
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(&start) && errors[0].ends_with(end), "{errors:?}");
    }
}

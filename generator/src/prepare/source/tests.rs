//! Tests of sources.

use std::fs::{create_dir_all, remove_dir_all, write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

fn tree(name: &str) -> PathBuf {
    let root = std::env::temp_dir().join(format!("nixos-nspawn-source-{name}-{}", std::process::id()));
    let _ = remove_dir_all(&root);
    create_dir_all(root.join("srv")).unwrap();
    root
}

fn opened(root: &Path, source: &str) -> Result<PathBuf, String> {
    let found = open(root, source, false, &Exposed::new(root)).map_err(|unusable| unusable.reason)?;
    let path = path_of(&found).unwrap();
    Ok(Path::new("/").join(path.strip_prefix(root.canonicalize().unwrap()).unwrap()))
}

#[test]
fn links_of_containers_are_not_followed() {
    let root = tree("containers");
    create_dir_all(root.join("var/lib/machines/db/srv")).unwrap();
    create_dir_all(root.join("etc")).unwrap();
    create_dir_all(root.join("srv/shared/below")).unwrap();
    symlink("/etc", root.join("var/lib/machines/db/evil")).unwrap();
    symlink("../../../../../etc", root.join("var/lib/machines/db/srv/evil")).unwrap();
    symlink("/etc", root.join("srv/shared/below/evil")).unwrap();
    let generated = root.join("run/systemd/generator/nixos-nspawn");
    create_dir_all(&generated).unwrap();
    write(generated.join("web.nspawn"), "[Files]\nBind=/srv/shared:/shared\n").unwrap();
    for evil in [
        "/var/lib/machines/db/evil",
        "/var/lib/machines/db/evil/x",
        "/var/lib/machines/db/srv/evil",
        "/srv/shared/below/evil",
        "/srv/shared/below/evil/new",
    ] {
        let reason = opened(&root, evil).unwrap_err();
        assert!(reason.contains("/evil, which "), "{evil}: {reason}");
    }
    assert!(!root.join("etc/x").exists() && !root.join("etc/new").exists());
    assert_eq!(
        opened(&root, "/var/lib/machines/db/srv/new").unwrap(),
        Path::new("/var/lib/machines/db/srv/new")
    );
    remove_dir_all(&root).unwrap();
}

#[test]
fn only_links_of_root_are_followed() {
    let root = tree("links");
    create_dir_all(root.join("data/www")).unwrap();
    symlink("/data", root.join("srv/link")).unwrap();
    symlink("link/www", root.join("srv/relative")).unwrap();
    symlink("link", root.join("srv/again")).unwrap();
    symlink("loop", root.join("srv/loop")).unwrap();
    let of_root = root.join("srv/link").symlink_metadata().unwrap().uid() == 0;
    for (source, target) in [
        ("/srv/link/www", "/data/www"),
        ("/srv/relative", "/data/www"),
        ("/srv/again", "/data"),
        ("/srv/link/new", "/data/new"),
    ] {
        match opened(&root, source) {
            Ok(path) => assert!(of_root && path == Path::new(target), "{source}"),
            Err(reason) => assert!(!of_root && reason.contains("belongs to user"), "{source}: {reason}"),
        }
    }
    if of_root {
        assert!(opened(&root, "/srv/loop").unwrap_err().contains("symbolic links"));
        // In a directory that everybody can write to, a link of root's is refused like any other.
        std::fs::set_permissions(root.join("srv"), PermissionsExt::from_mode(0o777)).unwrap();
        let reason = opened(&root, "/srv/link/www").unwrap_err();
        assert!(reason.contains("users of the host can replace"), "{reason}");
    }
    remove_dir_all(&root).unwrap();
}

#[test]
fn only_the_last_component_is_created() {
    let root = tree("missing");
    assert!(opened(&root, "/srv/a/b").unwrap_err().contains("its parent directory do not exist"));
    assert!(!root.join("srv/a").exists());
    create_dir_all(root.join("dev")).unwrap();
    assert!(opened(&root, "/dev/nothing").unwrap_err().contains("no such device"));
    let mode = |path: &str| root.join(path).metadata().unwrap().mode() & 0o777;
    assert_eq!(opened(&root, "/srv/new").unwrap(), Path::new("/srv/new"));
    assert_eq!(mode("srv/new"), 0o700);
    open(&root, "/srv/public", true, &Exposed::new(&root)).unwrap();
    assert_eq!(mode("srv/public"), 0o755);
    write(root.join("srv/file"), "").unwrap();
    assert_eq!(opened(&root, "/srv/file").unwrap(), Path::new("/srv/file"));
    assert!(opened(&root, "/srv/file/x").unwrap_err().contains("Not a directory"));
    assert_eq!(opened(&root, "/srv/../srv/./new").unwrap(), Path::new("/srv/new"));
    assert_eq!(opened(&root, "/").unwrap(), Path::new("/"));
    if root.join("srv").metadata().unwrap().uid() == 0 {
        std::fs::set_permissions(root.join("srv"), PermissionsExt::from_mode(0o700)).unwrap();
        opened(&root, "/srv/closed").unwrap();
        assert_eq!(mode("srv/closed"), 0o755);
    }
    remove_dir_all(&root).unwrap();
}

#[test]
fn what_cannot_be_told_is_not_trusted() {
    let root = tree("unreadable");
    create_dir_all(root.join("data")).unwrap();
    symlink("/data", root.join("srv/link")).unwrap();
    create_dir_all(root.join("run/systemd/nspawn/odd.nspawn")).unwrap();
    // A link of another user is refused before anything else is asked.
    let of_root = root.join("srv/link").symlink_metadata().unwrap().uid() == 0;
    assert!(!of_root || opened(&root, "/srv/link").is_ok(), "the other container is stopped");
    create_dir_all(root.join("run/systemd/machines/odd")).unwrap();
    let reason = opened(&root, "/srv/link").unwrap_err();
    assert!(!of_root || reason.contains("odd.nspawn cannot be read: Is a directory"), "{reason}");
    remove_dir_all(&root).unwrap();
}

#[test]
fn intents_count_before_they_are_loaded() {
    let root = tree("intents");
    create_dir_all(root.join("data")).unwrap();
    create_dir_all(root.join("srv/shared")).unwrap();
    create_dir_all(root.join("etc/nixos-nspawn")).unwrap();
    symlink("/data", root.join("srv/shared/link")).unwrap();
    let mut of_root = root.join("srv/shared/link").symlink_metadata().unwrap().uid() == 0;
    of_root &= opened(&root, "/srv/shared/link").is_ok();
    let toplevel = format!("/nix/store/{}-a", "a".repeat(32));
    let container = r#"{"bindMounts":["/srv/shared"]}"#;
    let text = format!(r#"{{"version":1,"toplevel":"{toplevel}","container":{container}}}"#);
    write(root.join("etc/nixos-nspawn/new.json"), text).unwrap();
    let reason = opened(&root, "/srv/shared/link").unwrap_err();
    assert!(!of_root || reason.contains("a container can replace"), "{reason}");
    remove_dir_all(&root).unwrap();
}

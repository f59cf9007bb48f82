//! Killed updates that only take reach away.

use nixos_nspawn_tests::host::{Host, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use pretty_assertions::assert_eq;
use serde_json::json;

use super::{assert_half, killed, settle, stoppable};

on_both_hosts!(killed_updates_that_take_reach_away);

/// Such an update stays once the container was touched: otherwise a container could keep its reach by being so slow
/// that the command is killed.
fn killed_updates_that_take_reach_away(host: &Host) {
    host.install(stoppable());
    host.create("stopped");
    let web = |page: &str, bind: bool| {
        let mut settings = dynamic(page);
        if bind {
            settings["container"]["bindMounts"] = json!(["/srv/a:/srv/seen"]);
        }
        host.own(&json!({ "web": settings }));
    };
    web("old\n", true);
    host.create("web");
    host.write("/srv/a/mark", "", 0o644);
    for (place, page, stays) in
        [("intent", "one\n", false), ("activating", "two\n", true), ("activated", "three\n", true)]
    {
        web(page, false);
        killed(host, place, &["update", "web"]);
        assert_half(host, "web", "half updated");
        let settled = settle(host);
        let at = format!("killed at {place}: {settled}");
        host.assert_agreed("web");
        assert_eq!(host.state("web"), "active", "{at}");
        let mounted = host.run_inside("web", &["test", "-e", "/srv/seen/mark"]).success();
        assert_eq!(
            (host.system_page("web").as_str(), mounted),
            if stays { (page, false) } else { ("old\n", true) },
            "{at}"
        );
        if stays {
            host.ctl_ok(&["rollback", "web", "--to", "1"]);
            assert_eq!(host.system_page("web"), "old\n", "{at}");
        }
    }
}

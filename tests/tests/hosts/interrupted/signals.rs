//! Commands interrupted by a signal.

use nixos_nspawn_tests::host::{FLAKE, Host, dynamic};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::json;

use super::stoppable;

on_both_hosts!(signals);

/// A command that receives a signal cleans up itself.
fn signals(host: &Host) {
    host.install(stoppable());
    host.own(&json!({"web": dynamic("old\n")}));
    host.create("web");
    // Sends a signal as soon as `moment` succeeds, and returns the command's exit status and output.
    let interrupted = |signal: &str, moment: &str, arguments: &str| {
        let script = format!(
            r#"rm -f /run/moment
            nixos-nspawn {arguments} > /run/output 2>&1 & command=$!
            for _ in $(seq 300); do if {moment}; then break; fi; sleep 0.1; done
            {moment} || {{ cat /run/output; echo "the moment does not come"; exit 99; }}
            kill -{signal} $command
            status=0; wait $command || status=$?
            cat /run/output; exit $status"#
        );
        let output = host.run(&["sh", "-uc", &script]);
        assert!(![0, 99, 128 + 9].contains(&output.code()), "{signal}: {output}");
        output
    };
    for signal in ["INT", "TERM"] {
        let (before, nspawn) = (host.recorded("web"), host.nspawn("web"));
        // While Nix builds: the builder reports that it runs and then waits.
        let mut slow = dynamic("new\n");
        slow["switch"] = json!("$(touch /run/moment; sleep 600)");
        host.own(&json!({"web": slow, "fresh": slow}));
        let traces = host.traces();
        let output = interrupted(signal, "[ -e /run/moment ]", "update web");
        assert_eq!((host.recorded("web"), host.nspawn("web")), (before.clone(), nspawn), "{output}");
        host.assert_agreed("web");
        interrupted(signal, "[ -e /run/moment ]", &format!("create fresh --flake {FLAKE}"));
        host.assert_no_traces_since(&traces);

        // While the container starts and does not become ready.
        let mut never = dynamic("new\n");
        never["boot"] = json!("trap 'exit 0' 37; touch /var/waits; while :; do sleep 1; done");
        host.own(&json!({"web": never, "fresh": never}));
        // It can be stopped only after that: a first process without a handler ignores the signal.
        let waits = |name: &str| format!("[ -e /var/lib/machines/{name}/var/waits ]");
        host.sh("rm -f /var/lib/machines/web/var/waits");
        let output = interrupted(signal, &waits("web"), "update web --strategy restart");
        assert_eq!(host.recorded("web"), before, "{output}");
        assert_eq!(
            (host.state("web").as_str(), host.system_page("web").as_str()),
            ("active", "old\n"),
            "{output}"
        );
        host.assert_agreed("web");
        let traces = host.traces();
        interrupted(signal, &waits("fresh"), &format!("create fresh --flake {FLAKE}"));
        host.assert_no_traces_since(&traces);

        // While it reloads.
        let mut slow = dynamic("new\n");
        slow["switch"] = json!("touch /run/slow; sleep 600");
        host.own(&json!({"web": slow}));
        let reloading = "systemd-run -q -M web --wait /bin/test -e /run/slow 2> /dev/null";
        let output = interrupted(signal, reloading, "update web");
        assert_eq!(host.recorded("web"), before, "{output}");
        assert_eq!(host.system_page("web"), "old\n", "{output}");
        host.assert_agreed("web");
    }
}

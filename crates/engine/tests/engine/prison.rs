//! What an engine is confined to, and what a hostile one tries.

use std::time::{Duration, Instant};

use engine::keeper::Exit;
use engine::shim::Command;

use super::bed::{Bed, PATIENCE};

pub(crate) fn confined() {
    let bed = Bed::new();
    let script = "set -e; PATH=/bin; list() { echo $(busybox ls $1); }; busybox id -u; \
                  busybox grep -E '^(Cap|NoNewPrivs|Seccomp:|Uid)' /proc/self/status; \
                  busybox hostname; list /; list /dev; list /proc; \
                  busybox cat /proc/self/mountinfo; echo own > /data/own; echo tmp > /tmp/tmp; \
                  for path in / /bin /dev /run /proc; do if echo x 2>/dev/null > $path/x; then echo wrote $path; fi; done; \
                  busybox env | busybox sort";
    let (report, output) = bed.to_the_end("web", &["/bin/busybox", "sh", "-c", script], "");
    assert_eq!(report.ending.unwrap().exit, Some(Exit::Code(0)), "{output}");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "1000", "{output}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(lines.contains(&format!("{set}:\t0000000000000000").as_str()), "{set} {output}");
    }
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "Uid:\t1000\t1000\t1000\t1000", "web"] {
        assert!(lines.contains(&line), "{line} {output}");
    }
    assert!(lines.contains(&"bin data dev lib lib64 proc run tmp"), "{output}");
    assert!(lines.contains(&"fd full null random shm stderr stdin stdout urandom zero"), "{output}");
    assert!(!output.contains("wrote"), "{output}");
    assert!(!output.contains("kcore") && !output.contains("sysrq"), "the machine's process files: {output}");
    let host = std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    let mounts: Vec<&&str> = lines.iter().filter(|line| line.contains(" - ")).collect();
    assert!(mounts.len() <= 11 && host > 0, "{mounts:#?}");
    assert!(mounts[0].contains(" / ro,nosuid,nodev"), "{mounts:#?}");
    let environment = ["HOME=/data", "NOTIFY_SOCKET=/run/notify"];
    assert!(environment.iter().all(|line| lines.contains(line)), "{output}");
    // Nothing of what is missing on this machine goes unsaid.
    let unsaid = !std::path::Path::new("/sys/fs/cgroup").exists() && report.missing.is_empty();
    assert!(!unsaid);
}

pub(crate) fn hostile() {
    let bed = Bed::new();
    let (report, output) = bed.to_the_end("web", &["/bin/hostile", "hostile", "everything"], "");
    assert_eq!(report.ending.unwrap().exit, Some(Exit::Code(0)), "{output}");
    let tried = output.lines().filter(|line| line.starts_with("denied ")).count();
    assert!(tried >= 150 && !output.contains("GOT"), "{output}");
    // These are refused by the list of calls, whatever file system there is and whatever it allows its owners.
    let listed = [
        "request: ",
        "keyctl",
        "add_key",
        "request_key",
        "setxattr",
        "fsetxattr",
        "lsetxattr",
        "removexattr",
    ];
    let by_the_list = |line: &&str| listed.iter().any(|name| line.starts_with(&format!("denied {name}")));
    let refused: Vec<&str> = output.lines().filter(by_the_list).collect();
    assert!(refused.len() > 80, "{refused:#?}");
    for line in refused {
        assert!(line.ends_with("Operation not permitted (os error 1)"), "{line}");
    }
}

pub(crate) fn floods() {
    let bed = Bed::new();
    let mut other =
        bed.start(&bed.launch("till", &["/bin/busybox", "sh", "-c", "/bin/busybox sleep 1000"], ""));
    other.running();
    for (what, seconds) in [("fork", 2), ("memory", 20), ("files", 20), ("output", 2), ("notices", 2)] {
        let mut engine = bed.start(&bed.launch("web", &["/bin/hostile", "hostile", what], ""));
        engine.running();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(seconds) && !engine.lines.is_over() {
            let ended = engine.lines.take::<engine::shim::Report>().into_iter().any(|report| {
                let ended = report.ending.is_some();
                engine.last = Some(report);
                ended
            });
            if ended {
                break;
            }
            std::thread::yield_now();
        }
        if engine.last.as_ref().is_none_or(|last| last.ending.is_none()) {
            engine.lines.tell(&Command::Stop);
        }
        let ending = engine.ended().ending.unwrap();
        assert!(began.elapsed() < PATIENCE, "{what}");
        assert_eq!(ending.out_of_memory, ["memory", "files"].contains(&what), "{what}: {ending:?}");
        let kept: u64 = ["output", "output.old"]
            .iter()
            .filter_map(|name| std::fs::metadata(engine.logs.join(name)).ok())
            .map(|metadata| metadata.len())
            .sum();
        assert!(kept <= 2 * (engine::log::FILE_BYTES_MAX + engine::log::BURST_BYTES), "{what}: {kept}");
        if what == "output" {
            assert!(engine.output().contains("bytes of output dropped]"));
        }
    }
    let still = other.last.clone().unwrap();
    other.lines.tell(&Command::Stop);
    assert_eq!(other.ended().since, still.since, "the other engine ran on");
}

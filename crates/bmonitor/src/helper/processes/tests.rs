use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use super::*;

/// In a network namespace of its own: its first thread ends, another one says which it is and goes on.
const HEADLESS: &str = r#"
import ctypes, os, threading
def live():
    while open("/proc/self/stat").read().rsplit(") ")[1][0] != "Z":
        os.sched_yield()
    print(threading.get_native_id(), flush=True)
    threading.Event().wait(60)
threading.Thread(target=live).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"#;

/// Killed however the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_process_whose_first_thread_has_ended_is_killed_too() {
    let mut command = Command::new("unshare");
    command.args(["--net", "python3", "-c", HEADLESS]).stdout(Stdio::piped());
    let mut process = Killed(command.spawn().unwrap());
    let mut thread = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut thread).unwrap();
    let namespace = format!("/proc/{}/task/{}/ns/net", process.0.id(), thread.trim());
    // Not the test's own, whatever went wrong above.
    assert_ne!(fs::metadata(&namespace).unwrap().ino(), fs::metadata("/proc/self/ns/net").unwrap().ino());
    kill_in(Path::new(&namespace)).unwrap();
    // A zombie without a living thread now: found by nobody, waited for by nobody.
    assert!(fs::metadata(&namespace).is_err(), "it lives");
    // What was not killed ends by itself after a minute, and not by a signal.
    assert_eq!(process.0.wait().unwrap().signal(), Some(9));
}

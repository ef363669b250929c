//! A console of a facility: a network namespace on the management network, a folder, and the `leasehold`
//! program, run there as the party's server or as its command line.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use os::namespace::Namespace;

use crate::failed::{Act, Failed};
use crate::party::Said;
use crate::plan::ConsolePlan;
use crate::role::Role;

/// How long a server that does not answer is left alone before it is asked again.
const LOOK: Duration = Duration::from_millis(10);

/// A place where one party's programs run. Dropping it kills the server.
#[derive(Debug)]
pub struct Console {
    name: String,
    address: Ipv4Addr,
    namespace: PathBuf,
    folder: PathBuf,
    program: Option<PathBuf>,
    environment: Vec<(String, String)>,
    server: Option<Child>,
}

impl Console {
    pub(crate) fn new(
        planned: &ConsolePlan,
        namespace: &Path,
        folder: &Path,
        program: Option<&Path>,
    ) -> Self {
        Self {
            name: planned.name.clone(),
            address: planned.address,
            namespace: namespace.to_owned(),
            folder: folder.to_owned(),
            program: program.map(Path::to_owned),
            environment: Vec::new(),
            server: None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the management network.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The party's folder: commands run in it, and the server's output is there as `server.log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sets a variable that all its programs find in their environment from now.
    pub fn set(&mut self, variable: &str, value: impl Into<String>) {
        self.environment.retain(|(known, _)| known != variable);
        self.environment.push((variable.to_owned(), value.into()));
    }

    /// What was set.
    #[must_use]
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Writes a file of the party's, with its folders, for its eyes only.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failed> {
        let path = self.folder.join(name);
        let act = || format!("write {}", path.display());
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).act(act)?;
        Ok(path)
    }

    /// Runs a command of `leasehold` to its end, as this party and in its place, for JSON.
    ///
    /// # Errors
    /// When it cannot be run. That it fails is an answer.
    pub fn run(&self, arguments: &[&str]) -> Result<Said, Failed> {
        let output = self.command(arguments)?.args(["-o", "json"]).stdin(Stdio::null()).output();
        Ok(Said::of(&output.act(|| format!("run leasehold {}", arguments.join(" ")))?))
    }

    /// The same command as it is, to be started by the caller.
    ///
    /// # Errors
    /// When the plan has no program for consoles.
    pub fn command(&self, arguments: &[&str]) -> Result<Command, Failed> {
        let program = self.program.as_deref().ok_or("the plan has no leasehold");
        let program = program.act(|| format!("work as {:?}", self.name))?;
        let mut command = Role::Enter.command();
        command.arg(&self.namespace).arg(program).args(arguments).current_dir(&self.folder);
        command.envs(self.environment.iter().map(|(variable, value)| (variable, value)));
        Ok(command)
    }

    /// Starts the party's server.
    ///
    /// # Errors
    /// When one runs already, or none can be started.
    pub fn start(&mut self, arguments: &[&str]) -> Result<(), Failed> {
        let act = || format!("start the console {:?}", self.name);
        if self.server.is_some() {
            return Err(Failed::new(act(), "it runs"));
        }
        let log = File::options().create(true).append(true).open(self.log_file()).act(act)?;
        let output = log.try_clone().act(act)?;
        let mut command = self.command(arguments)?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(log).spawn().act(act)?;
        self.server = Some(child);
        Ok(())
    }

    /// Asks `arguments` again and again until they succeed.
    ///
    /// # Errors
    /// When that takes longer than `patience`, or the server ends before.
    pub fn answers(&mut self, arguments: &[&str], patience: Duration) -> Result<Said, Failed> {
        let act = |console: &Self| format!("hear from the console {:?}", console.name);
        let deadline = Instant::now() + patience;
        loop {
            let said = self.run(arguments)?;
            if said.exit == 0 {
                return Ok(said);
            }
            if Instant::now() > deadline {
                return Err(Failed::new(act(self), said.talk));
            }
            let ended =
                self.server.as_mut().map(Child::try_wait).transpose().act(|| "look at it".to_owned())?;
            if let Some(Some(status)) = ended {
                return Err(Failed::new(act(self), format!("it ended with {status}: {}", self.log())));
            }
            os::poll::wait(&[], Some(LOOK)).map(drop).act(|| "wait".to_owned())?;
        }
    }

    /// The id of the server's process, as the machine counts.
    #[must_use]
    pub fn server(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// Kills the server, as a power cut would.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&mut self) -> Result<(), Failed> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let act = || format!("kill the console {:?}", self.name);
        server.kill().act(act)?;
        server.wait().map(drop).act(act)
    }

    /// What the server wrote to stdout and stderr.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("server.log")
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Err(failed) = self.kill() {
            crate::role::complain(&failed);
        }
    }
}

/// Enters the namespace and becomes the program.
pub(crate) fn enter(arguments: &[String]) -> Result<(), Failed> {
    let act = || "run a console's program".to_owned();
    let [namespace, program, rest @ ..] = arguments else {
        return Err(Failed::new(act(), "two arguments are wanted"));
    };
    // The program that the lab serves holds signals back; its own children take them again.
    os::signal::unblock().act(act)?;
    Namespace::open(namespace.as_ref()).and_then(|namespace| namespace.enter()).act(act)?;
    Err(Failed::new(act(), Command::new(program).args(rest).exec()))
}

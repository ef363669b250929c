//! `leasehold help TOPIC`: what belongs to no single command.

use std::ffi::OsString;

use crate::failure::Exit;
use crate::output::line;

/// What stands below the list of commands.
pub(crate) const AFTER: &str =
    "Topics: leasehold help exit-codes, help boundaries, help install, help people";

/// The topics, in the order in which they are listed.
pub(crate) const TOPICS: [(&str, &str); 4] =
    [("exit-codes", EXIT_CODES), ("boundaries", BOUNDARIES), ("install", INSTALL), ("people", PEOPLE)];

const EXIT_CODES: &str = "\
Every command ends with one of these:

   0  ok
   1  failed
   2  usage: it was asked wrongly
   3  refused, by a rule or a higher tier
   4  not authenticated
   5  not found
   6  the plan is stale: look at it anew
   7  timed out
  10  a plan was made, and it changes something

Data goes to stdout, everything else to stderr. What is wrong is told as `error: …`, and what helps as `hint: …`.
With -o json stdout is exactly what the console's API answers.";

const BOUNDARIES: &str = "\
A boundary is a set of packets. Each tier on a node has one given by the tier above it, and may set one of its own.
What passes is what every set on the way from the owner down admits: a lower tier can only narrow.

  version = 1
  [[allow]]
  name        = \"web\"
  direction   = \"in\"          # who starts the flow: in (the remote), out (the engine), both
  protocol    = \"tcp\"
  remote      = [\"internet\", \"cluster:bakery\", \"10.1.0.0/16\"]
  local_port  = [80, 443]

A key that is left out means any. A deny wins over an allow; order does not matter; a file with the version alone
admits nothing.

  leasehold boundary check --upper landlord.toml --lower mine.toml    is it within? else a packet that is not
  leasehold boundary plan mine.toml                                   what each node would say
  leasehold boundary replay mine.toml                                 what it would drop of the last hour's flows
  leasehold boundary apply mine.toml --if-match PLAN                  set it, if the plan is still that
  leasehold boundary explain n1 n4:5432                               what stops this packet, and whose rule it is";

const INSTALL: &str = "\
A node runs `bmonitor` as root, with a folder of its own and a file `bmonitor.toml`. At its first start it makes its
key, and shows the key's id on its own screen. It needs to be told once who its owner is:

  leasehold console init FOLDER --name OWNER --listen ADDRESS:7443
  leasehold console run FOLDER
  leasehold console identity > enrolment.json        copy this to the node, beside bmonitor.toml
  leasehold node enrol                               then start bmonitor; it dials the console
  leasehold node strangers                           compare the fingerprint with the node's own screen
  leasehold node confirm FINGERPRINT --name n1

To try all of this on one machine without any node: leasehold demo (as root; everything goes when it ends).";

const PEOPLE: &str = "\
Whoever owns a console's folder, root, and whoever has its admin.token is `admin` there. Everybody else gets a name, a
role and a token of their own:

  leasehold user add kim --role operate --out kim.token

  read        looks at everything, and plans
  operate     also does the daily work: boundaries, engines, incidents, names
  administer  also leases, nodes, keys, orders written by hand, and other people

Kim then sets LEASEHOLD_CONSOLE and LEASEHOLD_TOKEN_FILE. On the console's own machine a uid can stand for the token
(--uid), at the further socket of `console init --socket`. `leasehold audit list` shows who changed what.";

/// Prints the topic if this is what the arguments ask for.
pub(crate) fn topic(mut arguments: impl Iterator<Item = OsString>) -> Option<Exit> {
    if arguments.next()? != "help" {
        return None;
    }
    let (wanted, none) = (arguments.next()?, arguments.next());
    let (_, text) = TOPICS.iter().find(|(name, _)| none.is_none() && wanted == *name)?;
    line(text);
    Some(Exit::Ok)
}

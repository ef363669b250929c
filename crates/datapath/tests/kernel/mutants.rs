//! The corpus is worth what it catches: each of these faults, put into a copy of the program's
//! source, must make it part from the oracle.

use std::fs;
use std::path::Path;

use datapath::Program;

use crate::build_program::compile_program;
use crate::corpus::{Corpus, FRAMES, SEED};
use crate::place::Place;

/// A fault: where, what stands there, what the mutant has instead.
struct Mutant {
    name: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
}

const MUTANTS: [Mutant; 29] = [
    Mutant {
        name: "a first fragment passes for a whole packet",
        file: "parse.h",
        right: "ip.fragment & swap16(0x3fff)",
        wrong: "ip.fragment & swap16(0x1fff)",
    },
    Mutant {
        name: "the length of IPv4 options is not heeded",
        file: "parse.h",
        right: "p->payload = ETHERNET + header;",
        wrong: "p->payload = ETHERNET + IPV4;",
    },
    Mutant {
        name: "a realm may send from any address",
        file: "filter.c",
        right: "if (!is_own(head, p))",
        wrong: "if (p->direction == IN && !is_own(head, p))",
    },
    Mutant {
        name: "an IPv6 address may stand for the leased IPv4 one",
        file: "parse.h",
        right: "is_extension(ip.next) || is_mapped(&ip.source) || is_mapped(&ip.destination)",
        wrong: "is_extension(ip.next)",
    },
    Mutant {
        name: "an open flow outlives the policy that admitted it",
        file: "flow.h",
        right: "if (flow->generation != head->generation)",
        wrong: "if (flow->generation > head->generation)",
    },
    Mutant {
        name: "a full table pushes out live flows",
        file: "state.h",
        right: "UINT(type, BPF_MAP_TYPE_HASH);",
        wrong: "UINT(type, BPF_MAP_TYPE_LRU_HASH);",
    },
    Mutant {
        name: "an idle flow lives twice as long",
        file: "flow.h",
        right: ">= limit * SECOND",
        wrong: ">= 2 * limit * SECOND",
    },
    Mutant {
        name: "the lowest tier is not asked",
        file: "tiers.h",
        right: "if (tier >= head->tiers)",
        wrong: "if (tier && tier + 1 >= head->tiers)",
    },
    Mutant {
        name: "a port range ends one too early",
        file: "tiers.h",
        right: "(__s32)(*word & 0xffff) - (__s32)port;",
        wrong: "(__s32)(*word & 0xffff) - (__s32)port - 1;",
    },
    Mutant {
        name: "the deadline is not heeded",
        file: "clock.h",
        right: "*open != 1 || now >= *deadline",
        wrong: "*open != 1 || now == *deadline",
    },
    Mutant {
        name: "an IPv4 range ends one too early",
        file: "tiers.h",
        right: "(__s64)(*word >> 32) - (__s64)address;",
        wrong: "(__s64)(*word >> 32) - (__s64)address - 1;",
    },
    Mutant {
        name: "the lower half of an IPv6 address is compared the wrong way round",
        file: "tiers.h",
        right: "borrow(*bound_low, low, 0)",
        wrong: "borrow(low, *bound_low, 0)",
    },
    Mutant {
        name: "the first tier's row is every tier's",
        file: "tiers.h",
        right: "word_at(table, rows + tier)",
        wrong: "word_at(table, rows)",
    },
    Mutant {
        name: "the short way takes a flow of an older policy",
        file: "short.h",
        right: "if (flow->generation != head->generation ||",
        wrong: "if (flow->generation > head->generation ||",
    },
    Mutant {
        name: "the short way takes an idle flow",
        file: "short.h",
        right: "is_idle(flow, p->protocol, now))",
        wrong: "is_idle(flow, p->protocol, now + SECOND) == 2)",
    },
    Mutant {
        name: "the short way takes any address for the realm's",
        file: "short.h",
        right: "if (!is_own_address(head, &p->local))",
        wrong: "if (is_own_address(head, &p->local) > 1)",
    },
    Mutant {
        name: "the short way takes any MAC for the realm's",
        file: "short.h",
        right: "if (!same_mac(out ? ethernet + 6 : ethernet, head->mac))",
        wrong: "if (same_mac(ethernet, ethernet + 6))",
    },
    Mutant {
        name: "the short way takes a false length",
        file: "short.h",
        right: "total > p->length - ETHERNET ||",
        wrong: "total > p->length + ETHERNET ||",
    },
    Mutant {
        name: "the short way takes a first fragment",
        file: "short.h",
        right: "v4->fragment & swap16(0x3fff)",
        wrong: "v4->fragment & swap16(0x1fff)",
    },
    Mutant {
        name: "the short way does not note that a connection ends",
        file: "short.h",
        right: "(TCP_SYN | TCP_FIN | TCP_RST)",
        wrong: "(TCP_SYN | TCP_RST)",
    },
    Mutant {
        name: "the short way lets a realm speak to many",
        file: "short.h",
        right: "if (out && ethernet[0] & 1)",
        wrong: "if (out && ethernet[0] & 2 && 0)",
    },
    Mutant {
        name: "the short way begins flows to many",
        file: "short.h",
        right: "return is_group(&p->remote) ? IN_DOUBT : NEW;",
        wrong: "return NEW;",
    },
    Mutant {
        name: "the short way does not ask about a new flow",
        file: "filter.c",
        right: "if (way == LIVE) {",
        wrong: "if (way != IN_DOUBT) {",
    },
    Mutant {
        name: "the short way lets a realm answer as a DHCP server",
        file: "short.h",
        right: "if (out && p->protocol == UDP && is_dhcp_server(",
        wrong: "if (out && p->protocol == TCP && is_dhcp_server(",
    },
    Mutant {
        name: "a realm may speak to a multicast address",
        file: "filter.c",
        right: "if (is_group(&p->remote))",
        wrong: "if (is_group(&p->local))",
    },
    Mutant {
        name: "a realm may answer as a DHCP server",
        file: "parse.h",
        right: "p->protocol == UDP && is_dhcp_server(",
        wrong: "p->protocol == TCP && is_dhcp_server(",
    },
    Mutant {
        name: "an ICMP error about a revoked flow passes",
        file: "quote.h",
        right: "!flow || flow->generation != head->generation ||",
        wrong: "!flow || flow->generation > head->generation ||",
    },
    Mutant {
        name: "an ICMP error may quote what another sent",
        file: "quote.h",
        right: "|| !is_same(&local, &p->local))",
        wrong: "|| is_mapped(&local) != is_mapped(&p->local))",
    },
    Mutant { name: "the clock stands still", file: "clock.h", right: "reading->tick != tick || ", wrong: "" },
];

#[test]
fn every_mutant_of_the_program_is_caught() {
    let place = Place::new();
    for (number, mutant) in MUTANTS.iter().enumerate() {
        let folder = place.folder().join(format!("mutant{number}"));
        let program = built(&folder, mutant);
        let caught = Corpus::new(SEED, &program).run(FRAMES);
        let Err(difference) = caught else { panic!("{FRAMES} frames do not catch: {}", mutant.name) };
        println!("caught after {:>6} frames: {}", difference.after, mutant.name);
        println!("    {}", difference.what);
    }
}

/// The program of a copy of the source with the fault in it.
fn built(folder: &Path, mutant: &Mutant) -> Program {
    fs::create_dir(folder).unwrap();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let file = folder.join(mutant.file);
    let source = fs::read_to_string(&file).unwrap();
    assert_eq!(source.matches(mutant.right).count(), 1, "{:?} stands once in {}", mutant.right, mutant.file);
    fs::write(&file, source.replace(mutant.right, mutant.wrong)).unwrap();
    let object = folder.join("filter.o");
    compile_program(folder, &object).unwrap_or_else(|message| panic!("{message}"));
    Program::of_object(fs::read(object).unwrap())
}

/* The maps and the records in them. `src/layout.rs` is the same in Rust: change both or neither. */
#pragma once

#include "kernel.h"

enum { TIERS_MAX = 8, ADDRESSES_MAX = 16, SLOTS = 2 };

/* An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d, in network byte order. */
struct address {
	__u64 high;
	__u64 low;
} __attribute__((aligned(8)));

/* What one generation is. The one record a packet reads to know its policy. */
struct head {
	__u64 generation;
	__u32 slot;
	__u32 tiers;
	__u8 mac[6];
	__u8 unused[2];
	__u32 addresses;
	__u32 unused2;
	struct address address[ADDRESSES_MAX];
};

/* Who sends, numbered as in the algebra. */
enum { IN = 0, OUT = 1 };
enum { FORM_FLOW = 0, FORM_ONE_WAY = 1 };

enum reason {
	PASS = 0,
	CLOSED = 1,
	MALFORMED = 2,
	UNSUPPORTED = 3,
	SPOOFED = 4,
	NOT_MINE = 5,
	NO_FLOW = 6,
	REFUSED = 7,
	TABLE_FULL = 8,
};

struct flow_key {
	struct address remote;
	__u16 remote_port;
	__u16 local_port;
	__u8 protocol;
	__u8 unused[3];
};

struct flow {
	__u64 generation;
	__u64 last_seen;
	__u64 began;
	/* The first packet as the policy sees it. */
	__u16 remote_port;
	__u16 local_port;
	__u8 direction;
	/* Bits of who sent a FIN: 1 << direction. */
	__u8 closing;
	__u8 unused[2];
};

struct denial {
	__u64 at;
	struct address remote;
	__u32 length;
	__u16 ethertype;
	__u16 remote_port;
	__u16 local_port;
	__u8 protocol;
	__u8 direction;
	__u8 reason;
	__u8 tier;
	__u8 unused[2];
};

/* The clock's last reading on this processor. */
struct reading {
	__u64 tick;
	__u64 now;
};

struct {
	UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	UINT(key_size, 4);
	UINT(value_size, sizeof(struct reading));
	UINT(max_entries, 1);
} clock SECTION(".maps");

enum { GATE_OPEN = 0, GATE_DEADLINE = 1, GATE_WORDS = 2 };

/* Whether anything may pass at all: open (1, else cut), and the boot time in ns when it ends. All
 * zero, as a new map is, means closed. */
struct {
	UINT(type, BPF_MAP_TYPE_ARRAY);
	UINT(key_size, 4);
	UINT(value_size, 8);
	UINT(max_entries, GATE_WORDS);
} gate SECTION(".maps");

/* The live generation. Replacing the inner map is one pointer: all tiers change at once. */
struct {
	UINT(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	UINT(key_size, 4);
	UINT(value_size, 4);
	UINT(max_entries, 1);
	ARRAY_OF(values, struct {
		UINT(type, BPF_MAP_TYPE_ARRAY);
		UINT(key_size, 4);
		UINT(value_size, sizeof(struct head));
		UINT(max_entries, 1);
	});
} live SECTION(".maps");

/* A table of words for each slot: see tiers.h. */
struct {
	UINT(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	UINT(key_size, 4);
	UINT(value_size, 4);
	UINT(max_entries, SLOTS);
	ARRAY_OF(values, struct {
		UINT(type, BPF_MAP_TYPE_ARRAY);
		UINT(key_size, 4);
		UINT(value_size, 8);
		UINT(max_entries, 1);
		UINT(map_flags, BPF_F_INNER_MAP);
	});
} tables SECTION(".maps");

/* A plain hash, never LRU: a flood must not push out live flows. The loader sets its size. */
struct {
	UINT(type, BPF_MAP_TYPE_HASH);
	UINT(key_size, sizeof(struct flow_key));
	UINT(value_size, sizeof(struct flow));
	UINT(max_entries, 1);
} flows SECTION(".maps");

enum { COUNTERS_A_DIRECTION = 32, COUNTER_TIER = 16, COUNTER_LOG_LOST = 31 };

struct {
	UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	UINT(key_size, 4);
	UINT(value_size, 8);
	UINT(max_entries, 2 * COUNTERS_A_DIRECTION);
} counters SECTION(".maps");

struct {
	UINT(type, BPF_MAP_TYPE_RINGBUF);
	UINT(max_entries, 4096);
} denials SECTION(".maps");

/* What the program needs of the kernel, without libbpf's headers: section names, byte order, helpers. */
#pragma once

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
/* A function that the verifier judges once, for every argument, and not again at each call. Pointers
 * that it is given may be null for all it knows. */
#define SEPARATE __attribute__((noinline))

/* Map definitions in BTF: the loader reads the sizes from these types. */
#define UINT(name, value) int(*name)[value]
#define ARRAY_OF(name, value) typeof(value) *name[]

#define swap16(x) __builtin_bswap16(x)
#define swap32(x) __builtin_bswap32(x)
#define swap64(x) __builtin_bswap64(x)
#define copy(to, from, n) __builtin_memcpy(to, from, n)
#define zero(to, n) __builtin_memset(to, 0, n)

#ifndef __BYTE_ORDER__
#error "the compiler does not say its byte order"
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "only little-endian machines are supported"
#endif

static void *(*map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*map_update)(void *map, const void *key, const void *value, __u64 flags) =
	(void *)BPF_FUNC_map_update_elem;
static long (*map_delete)(void *map, const void *key) = (void *)BPF_FUNC_map_delete_elem;
static long (*load_bytes)(const void *skb, __u32 offset, void *to, __u32 length) =
	(void *)BPF_FUNC_skb_load_bytes;
static long (*ring_output)(void *ring, void *data, __u64 size, __u64 flags) =
	(void *)BPF_FUNC_ringbuf_output;
static __u64 (*boot_time_ns)(void) = (void *)BPF_FUNC_ktime_get_boot_ns;
/* A read of one word, where the kernel is 5.6 or newer: no call. */
static __u64 (*ticks)(void) = (void *)BPF_FUNC_jiffies64;

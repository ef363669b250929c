/* The stack of tiers: each must admit. The cost of a question does not grow with the policy. */
#pragma once

#include "state.h"

/* A packet as the algebra sees it. */
struct question {
	__u32 form;
	__u32 direction;
	__u32 protocol;
	__u16 remote_port;
	__u16 local_port;
	struct address remote;
};

/*
 * A generation's table, in words of 64 bits:
 *
 *   [0, TIERS_MAX) where each tier's part begins
 *   then 2 words   where the IPv4 and the IPv6 ranges are: count, steps, offset in bits 0-32, 33-37, 38-63
 *   each tier's    1024 words: form, direction, protocol → a reference, or the column of the rows
 *     rows         a row for each class of addresses; its cells are references
 *     port tables  sorted by upper bound: bits 0-15 the bound, the others a reference
 *   address rows   for each class of the addresses of all tiers a word a tier: where its row is
 *   IPv4 ranges    sorted by their last address, in bits 32-63; bits 0-31: where the address rows are
 *   IPv6 ranges    sorted by their last address, two words each; then as many words: where the rows are
 *
 * A reference is (count, steps, offset) of a port table: first over the remote port, from there over the
 * local port. It lies in bits 16-32, 33-37 and 38-63 of a word; steps is the number of halvings that leave
 * one of count entries. Count 0 ends the search: offset 0 refuses, 1 admits; in the first 1024 words
 * offset COLUMN + n sends on to column n of the row of the remote address.
 */
enum { REFUSES = 0, ADMITS = 1, COLUMN = 2, STEPS_MAX = 16, RANGE_STEPS_MAX = 20 };
enum { IPV4_RANGES = TIERS_MAX, IPV6_RANGES = TIERS_MAX + 1 };

INLINE __u32 count_of(__u64 word)
{
	return (word >> 16) & 0x1ffff;
}

INLINE __u32 steps_of(__u64 word)
{
	return (word >> 33) & 31;
}

INLINE __u32 offset_of(__u64 word)
{
	return word >> 38;
}

/* A word that is missing refuses. */
INLINE __u64 word_at(void *table, __u32 index)
{
	__u64 *word = map_lookup(table, &index);

	return word ? *word : 0;
}

/*
 * The entry of a port table with the least upper bound that is not below `port`. The loop branches on its
 * own counter only: a branch on what the table holds would double the verifier's work each time around.
 */
INLINE __u64 search(void *table, __u64 reference, __u16 port)
{
	__u32 low = offset_of(reference);
	__u32 count = count_of(reference);
	__u32 steps = steps_of(reference);

	for (__u32 i = 0; i < STEPS_MAX; i++) {
		if (i >= steps)
			break;
		__u32 half = count >> 1;
		__u32 middle = low + half - 1;
		__u64 *word = map_lookup(table, &middle);
		if (!word)
			return 0;
		__s32 difference = (__s32)(*word & 0xffff) - (__s32)port;
		/* All ones if the bound is below the port. */
		low += half & (__u32)(difference >> 31);
		count -= half;
	}
	return word_at(table, low);
}

/* Where the rows of an IPv4 address are; 0, which is no row, if a word is missing. */
INLINE __u32 rows_of_v4(void *table, __u32 address)
{
	__u64 place = word_at(table, IPV4_RANGES);
	__u32 low = offset_of(place);
	__u32 count = (__u32)place;
	__u32 steps = steps_of(place);

	for (__u32 i = 0; i < RANGE_STEPS_MAX; i++) {
		if (i >= steps)
			break;
		__u32 half = count >> 1;
		__u32 middle = low + half - 1;
		__u64 *word = map_lookup(table, &middle);
		if (!word)
			return 0;
		__s64 difference = (__s64)(*word >> 32) - (__s64)address;
		low += half & (__u32)(difference >> 63);
		count -= half;
	}
	return (__u32)word_at(table, low);
}

/* 1 if x - y - below is negative, without a branch. */
INLINE __u64 borrow(__u64 x, __u64 y, __u64 below)
{
	return ((~x & y) | ((~x | y) & (x - y - below))) >> 63;
}

INLINE __u32 rows_of_v6(void *table, __u64 high, __u64 low)
{
	__u64 place = word_at(table, IPV6_RANGES);
	__u32 first = offset_of(place);
	__u32 all = (__u32)place;
	__u32 count = all;
	__u32 steps = steps_of(place);
	__u32 found = 0;

	for (__u32 i = 0; i < RANGE_STEPS_MAX; i++) {
		if (i >= steps)
			break;
		__u32 half = count >> 1;
		__u32 middle = first + 2 * (found + half - 1);
		__u64 *bound_high = map_lookup(table, &middle);
		middle++;
		__u64 *bound_low = map_lookup(table, &middle);
		if (!bound_high || !bound_low)
			return 0;
		found += half & -(__u32)borrow(*bound_high, high, borrow(*bound_low, low, 0));
		count -= half;
	}
	return (__u32)word_at(table, first + 2 * all + found);
}

/* What passes for an address in IPv6 but would mean an IPv4 one. */
INLINE int is_mapped(const struct address *a)
{
	return a->high == 0 && (__u32)a->low == 0xffff0000;
}

INLINE __u32 rows_of(void *table, const struct address *remote)
{
	if (is_mapped(remote))
		return rows_of_v4(table, swap32((__u32)(remote->low >> 32)));
	return rows_of_v6(table, swap64(remote->high), swap64(remote->low));
}

INLINE int tier_admits(void *table, __u32 tier, __u32 rows, const struct question *q)
{
	__u32 part = word_at(table, tier);

	if (!part)
		return 0;
	__u64 word = word_at(table, part + ((q->form & 1) << 9 | (q->direction & 1) << 8 | (q->protocol & 255)));
	if (count_of(word) == 0 && offset_of(word) >= COLUMN) {
		__u32 row = rows ? word_at(table, rows + tier) : 0;
		if (!row)
			return 0;
		word = word_at(table, row + offset_of(word) - COLUMN);
	}
	if (count_of(word))
		word = search(table, word, q->remote_port);
	if (count_of(word))
		word = search(table, word, q->local_port);
	return count_of(word) == 0 && offset_of(word) == ADMITS;
}

/* The first tier from the top that refuses, or TIERS_MAX if all admit. A stack of no tiers refuses. */
SEPARATE __u32 first_refusing(const struct head *head, const struct question *q)
{
	if (!head || !q)
		return 0;
	if (head->tiers == 0 || head->tiers > TIERS_MAX)
		return 0;
	__u32 slot = head->slot;
	void *table = map_lookup(&tables, &slot);
	if (!table)
		return 0;
	__u32 rows = rows_of(table, &q->remote);
	for (__u32 tier = 0; tier < TIERS_MAX; tier++) {
		if (tier >= head->tiers)
			break;
		if (!tier_admits(table, tier, rows, q))
			return tier;
	}
	return TIERS_MAX;
}

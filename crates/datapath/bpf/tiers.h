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
	struct trie_key remote;
};

/*
 * A tier's table, in words of 64 bits:
 *
 *   [0, 1024)      form, direction, protocol → a reference, or the column of the rows
 *   rows           a row for each class of addresses; its cells are references
 *   port tables    sorted by upper bound: bits 0-15 the bound, the others a reference
 *
 * A reference is (count, steps, offset) of a port table: first over the remote port, from there over the
 * local port. It lies in bits 16-32, 33-37 and 38-63 of a word; steps is the number of halvings that leave
 * one of count entries. Count 0 ends the search: offset 0 refuses, 1 admits; in the first 1024 words
 * offset COLUMN + n sends on to column n of the row which the trie gives.
 */
enum { REFUSES = 0, ADMITS = 1, COLUMN = 2, STEPS_MAX = 16 };

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

INLINE int tier_admits(__u32 index, const struct question *q)
{
	void *trie = map_lookup(&tries, &index);
	void *table = map_lookup(&tables, &index);

	if (!trie || !table)
		return 0;
	__u64 word = word_at(table, (q->form & 1) << 9 | (q->direction & 1) << 8 | (q->protocol & 255));
	if (count_of(word) == 0 && offset_of(word) >= COLUMN) {
		/* On the stack: Linux 6.1 takes no key for a map from memory that came as an argument. */
		struct trie_key remote = q->remote;
		__u32 *row = map_lookup(trie, &remote);
		if (!row)
			return 0;
		word = word_at(table, *row + offset_of(word) - COLUMN);
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
	if (head->tiers == 0 || head->tiers > TIERS_MAX || head->slot >= SLOTS)
		return 0;
	for (__u32 tier = 0; tier < TIERS_MAX; tier++) {
		if (tier >= head->tiers)
			break;
		if (!tier_admits(head->slot * TIERS_MAX + tier, q))
			return tier;
	}
	return TIERS_MAX;
}

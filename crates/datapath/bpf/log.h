/* Counters for every verdict, and a log of what was dropped. Both bounded; what is lost is counted. */
#pragma once

#include "parse.h"

enum { LOG_NO_WAKEUP = BPF_RB_NO_WAKEUP };

INLINE void count(__u32 direction, __u32 what, __u64 packets)
{
	__u32 index = direction * COUNTERS_A_DIRECTION + what;
	__u64 *counter = map_lookup(&counters, &index);

	if (counter)
		*counter += packets;
}

/* A large segment that the kernel will cut up counts as the packets on the wire. */
INLINE __u64 packets_in(const struct __sk_buff *skb)
{
	return skb->gso_segs ? skb->gso_segs : 1;
}

INLINE void log_denial(const struct packet *p, __u64 now, enum reason reason, __u8 tier)
{
	struct denial d;

	zero(&d, sizeof(d));
	d.at = now;
	d.remote = p->remote;
	d.length = p->length;
	d.ethertype = p->ethertype;
	d.remote_port = p->remote_port;
	d.local_port = p->local_port;
	d.protocol = p->protocol;
	d.direction = p->direction;
	d.reason = reason;
	d.tier = tier;
	if (ring_output(&denials, &d, sizeof(d), LOG_NO_WAKEUP))
		count(p->direction, COUNTER_LOG_LOST, 1);
}

INLINE int conclude(const struct __sk_buff *skb, const struct packet *p, __u64 now, enum reason reason, __u8 tier)
{
	count(p->direction, reason, packets_in(skb));
	if (reason == PASS)
		return TC_ACT_OK;
	if (reason == REFUSED)
		count(p->direction, COUNTER_TIER + (tier & (TIERS_MAX - 1)), packets_in(skb));
	log_denial(p, now, reason, tier);
	return TC_ACT_SHOT;
}

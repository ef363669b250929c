/* ICMP errors pass if the packet that they quote is one of a live flow, gone the other way. */
#pragma once

#include "flow.h"

/* ICMP's own header, and what an error quotes at least behind the IP header. */
enum { ICMP_HEADER = 8, QUOTED = 8 };

/* The quoted addresses into `key` and `local`; answers the quoted header's length, or 0 if it is none. */
INLINE __u32 quoted_addresses(struct __sk_buff *skb, const struct packet *p, __u32 at, struct flow_key *key,
			      struct address *local)
{
	if (p->ethertype == TYPE_IPV4) {
		struct ipv4 ip;

		if (load_bytes(skb, at, &ip, IPV4))
			return 0;
		if (ip.version_length >> 4 != 4 || (ip.version_length & 15) < 5 || ip.fragment & swap16(0x3fff))
			return 0;
		key->protocol = ip.protocol;
		map_v4(&key->remote, p->direction == IN ? ip.destination : ip.source);
		map_v4(local, p->direction == IN ? ip.source : ip.destination);
		return (ip.version_length & 15) * 4;
	}
	struct ipv6 ip;

	if (load_bytes(skb, at, &ip, IPV6))
		return 0;
	if ((ip.version_class_label & 0xf0) != 0x60 || is_extension(ip.next))
		return 0;
	key->protocol = ip.next;
	key->remote = p->direction == IN ? ip.destination : ip.source;
	*local = p->direction == IN ? ip.source : ip.destination;
	return is_mapped(&key->remote) ? 0 : IPV6;
}

INLINE int is_same(const struct address *a, const struct address *b)
{
	return a->high == b->high && a->low == b->low;
}

/*
 * The flow must have been admitted by the live generation: an error is no reason to ask again. It goes to
 * who sent the quoted packet; one of the realm's speaks of a packet to the very address that it comes from.
 */
INLINE int quotes_live_flow(struct __sk_buff *skb, const struct head *head, const struct packet *p, __u64 now)
{
	struct flow_key key;
	struct address local;
	__u16 start[QUOTED / 2];
	__u8 quoted_direction = p->direction == IN ? OUT : IN;

	zero(&key, sizeof(key));
	__u32 at = p->payload + ICMP_HEADER;
	__u32 header = quoted_addresses(skb, p, at, &key, &local);
	if (!header || p->payload_length < ICMP_HEADER + header + QUOTED || !is_same(&local, &p->local))
		return 0;
	if (p->direction == OUT && !is_same(&key.remote, &p->remote))
		return 0;
	if (load_bytes(skb, at + header, start, QUOTED))
		return 0;
	__u8 type = start[0] & 255;
	int request = type == (key.protocol == ICMP ? 8 : 128);
	int echo = key.protocol == ICMP || key.protocol == ICMPV6;
	if (echo) {
		if (!request && type != (key.protocol == ICMP ? 0 : 129))
			return 0;
		key.remote_port = swap16(start[2]);
	} else if (key.protocol == TCP || key.protocol == UDP || key.protocol == SCTP) {
		key.remote_port = swap16(start[p->direction == IN]);
		key.local_port = swap16(start[p->direction != IN]);
	}
	struct flow *flow = map_lookup(&flows, &key);
	if (!flow || flow->generation != head->generation || is_idle(flow, key.protocol, now))
		return 0;
	return !echo || request == (flow->direction == quoted_direction);
}

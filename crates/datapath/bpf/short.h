/*
 * The short way: a plain TCP or UDP packet of a flow that the live generation admitted. It lets nothing pass
 * that the long way would drop, and drops nothing: whatever is in doubt goes the long way.
 */
#pragma once

#include "flow.h"

/* The fixed IP header, and as much of the transport header as is looked at. Not packed: behind Ethernet's header
 * all lies as the compiler expects it, which else would read byte by byte. */
struct plain_ipv4 {
	__u8 version_length;
	__u8 service;
	__u16 total;
	__u16 id;
	__u16 fragment;
	__u8 hop_limit;
	__u8 protocol;
	__u16 checksum;
	__u32 source;
	__u32 destination;
	__u16 ports[2];
};

struct plain_ipv6 {
	__u32 version_class_label;
	__u16 payload;
	__u8 next;
	__u8 hop_limit;
	struct address source;
	struct address destination;
	__u16 ports[2];
};

/* Whether a TCP or UDP header is whole and begins, ends or breaks nothing. */
INLINE int goes_on(const struct __sk_buff *skb, __u8 protocol, __u32 at, __u32 length)
{
	const __u8 *header = (void *)(long)skb->data + at;
	const void *end = (void *)(long)skb->data_end;

	if (protocol == UDP)
		return length >= 8;
	if (protocol != TCP || length < 20 || (void *)(header + 14) > end)
		return 0;
	return header[12] >> 4 >= 5 && !(header[13] & (TCP_SYN | TCP_FIN | TCP_RST));
}

/* Most realms have one address of each family: these are compared here, others by a call. */
INLINE int is_own_address(const struct head *head, const struct address *a)
{
	for (__u32 i = 0; i < 2; i++) {
		if (i < head->addresses && head->address[i].high == a->high && head->address[i].low == a->low)
			return 1;
	}
	return is_leased(head, a);
}

INLINE int is_live(const struct head *head, const struct flow_key *key, __u64 now)
{
	struct flow *flow = map_lookup(&flows, key);

	if (!flow || flow->generation != head->generation || is_idle(flow, key->protocol, now))
		return 0;
	/* Written once a tick of the clock: its cache line is every processor's. */
	if (flow->last_seen != now)
		flow->last_seen = now;
	return 1;
}

INLINE int goes_short(const struct __sk_buff *skb, const struct head *head, __u8 direction, __u64 now)
{
	const __u8 *ethernet = (void *)(long)skb->data;
	const struct plain_ipv4 *v4 = (void *)(ethernet + ETHERNET);
	const struct plain_ipv6 *v6 = (void *)(ethernet + ETHERNET);
	const void *end = (void *)(long)skb->data_end;
	struct flow_key key;
	struct address local;
	__u16 type, remote_port, local_port;

	if (skb->vlan_present || (void *)(v4 + 1) > end)
		return 0;
	if (!same_mac(direction == OUT ? ethernet + 6 : ethernet, head->mac))
		return 0;
	if (direction == OUT && ethernet[0] & 1)
		return 0;
	zero(&key, sizeof(key));
	type = *(__u16 *)(ethernet + 12);
	if (type == swap16(TYPE_IPV4)) {
		__u32 total = swap16(v4->total);

		if (v4->version_length != 0x45 || v4->fragment & swap16(0x3fff) || total < IPV4 ||
		    total > skb->len - ETHERNET || !goes_on(skb, v4->protocol, ETHERNET + IPV4, total - IPV4))
			return 0;
		key.protocol = v4->protocol;
		map_v4(&key.remote, direction == OUT ? v4->destination : v4->source);
		map_v4(&local, direction == OUT ? v4->source : v4->destination);
		remote_port = v4->ports[direction == OUT];
		local_port = v4->ports[direction != OUT];
	} else if (type == swap16(TYPE_IPV6) && (void *)(v6->ports + 2) <= end) {
		__u32 payload = swap16(v6->payload);

		if ((v6->version_class_label & 0xf0) != 0x60 || payload > skb->len - ETHERNET - IPV6 ||
		    !goes_on(skb, v6->next, ETHERNET + IPV6, payload))
			return 0;
		key.protocol = v6->next;
		key.remote = direction == OUT ? v6->destination : v6->source;
		local = direction == OUT ? v6->source : v6->destination;
		if (is_mapped(&key.remote) || is_mapped(&local))
			return 0;
		remote_port = v6->ports[direction == OUT];
		local_port = v6->ports[direction != OUT];
	} else {
		return 0;
	}
	key.remote_port = swap16(remote_port);
	key.local_port = swap16(local_port);
	if (direction == OUT && key.protocol == UDP && is_dhcp_server(type == swap16(TYPE_IPV4), key.local_port))
		return 0;
	return is_own_address(head, &local) && is_live(head, &key, now);
}

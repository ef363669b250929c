/*
 * The short way: a plain TCP or UDP packet of a flow that the live generation admitted, or of a flow that is not in
 * the table and is judged as the long way judges it. What is in doubt goes the long way, which reads it anew.
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

/* What the short way found out. */
enum way { IN_DOUBT, LIVE, NEW };

/* Whether a TCP or UDP header is whole. */
INLINE int is_whole(const struct __sk_buff *skb, struct packet *p, __u32 at, __u32 length)
{
	const __u8 *header = (void *)(long)skb->data + at;
	const void *end = (void *)(long)skb->data_end;

	if (p->protocol == UDP)
		return length >= 8;
	if (p->protocol != TCP || length < 20 || (void *)(header + 14) > end)
		return 0;
	p->tcp_flags = header[13];
	return header[12] >> 4 >= 5;
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

/* One that begins, ends or breaks a flow that is there changes it: the long way does that. */
INLINE enum way way_of(const struct head *head, const struct packet *p, const struct flow_key *key, __u64 now)
{
	struct flow *flow = map_lookup(&flows, key);

	if (!flow)
		return is_group(&p->remote) ? IN_DOUBT : NEW;
	if (p->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST))
		return IN_DOUBT;
	if (flow->generation != head->generation || is_idle(flow, p->protocol, now))
		return IN_DOUBT;
	/* Written once a tick of the clock: its cache line is every processor's. */
	if (flow->last_seen != now)
		flow->last_seen = now;
	return LIVE;
}

/* Reads the packet and its flow's name, unless it is in doubt. Both are zero but for the direction. */
INLINE enum way short_way(const struct __sk_buff *skb, const struct head *head, struct packet *p, struct flow_key *key,
			  __u64 now)
{
	const __u8 *ethernet = (void *)(long)skb->data;
	const struct plain_ipv4 *v4 = (void *)(ethernet + ETHERNET);
	const struct plain_ipv6 *v6 = (void *)(ethernet + ETHERNET);
	const void *end = (void *)(long)skb->data_end;
	int out = p->direction == OUT;
	__u16 type;

	if (skb->vlan_present || (void *)(v4 + 1) > end)
		return IN_DOUBT;
	if (!same_mac(out ? ethernet + 6 : ethernet, head->mac))
		return IN_DOUBT;
	if (out && ethernet[0] & 1)
		return IN_DOUBT;
	p->length = skb->len;
	type = *(__u16 *)(ethernet + 12);
	if (type == swap16(TYPE_IPV4)) {
		__u32 total = swap16(v4->total);

		p->ethertype = TYPE_IPV4;
		p->protocol = v4->protocol;
		if (v4->version_length != 0x45 || v4->fragment & swap16(0x3fff) || total < IPV4 ||
		    total > p->length - ETHERNET || !is_whole(skb, p, ETHERNET + IPV4, total - IPV4))
			return IN_DOUBT;
		map_v4(&p->remote, out ? v4->destination : v4->source);
		map_v4(&p->local, out ? v4->source : v4->destination);
		set_ports(p, v4->ports[0], v4->ports[1]);
	} else if (type == swap16(TYPE_IPV6) && (void *)(v6->ports + 2) <= end) {
		__u32 payload = swap16(v6->payload);

		p->ethertype = TYPE_IPV6;
		p->protocol = v6->next;
		if ((v6->version_class_label & 0xf0) != 0x60 || payload > p->length - ETHERNET - IPV6 ||
		    !is_whole(skb, p, ETHERNET + IPV6, payload))
			return IN_DOUBT;
		p->remote = out ? v6->destination : v6->source;
		p->local = out ? v6->source : v6->destination;
		if (is_mapped(&p->remote) || is_mapped(&p->local))
			return IN_DOUBT;
		set_ports(p, v6->ports[0], v6->ports[1]);
	} else {
		return IN_DOUBT;
	}
	if (out && p->protocol == UDP && is_dhcp_server(p->ethertype == TYPE_IPV4, p->local_port))
		return IN_DOUBT;
	if (!is_own_address(head, &p->local))
		return IN_DOUBT;
	key->remote = p->remote;
	key->remote_port = p->remote_port;
	key->local_port = p->local_port;
	key->protocol = p->protocol;
	return way_of(head, p, key, now);
}

/* Ethernet, IPv4, IPv6 and transport headers, each read once into the stack. */
#pragma once

#include "tiers.h"

enum { ETHERNET = 14, ARP = 28, IPV4 = 20, IPV6 = 40 };
enum { TYPE_IPV4 = 0x0800, TYPE_ARP = 0x0806, TYPE_IPV6 = 0x86dd };
enum { ICMP = 1, TCP = 6, UDP = 17, ICMPV6 = 58, SCTP = 132 };
enum { DHCP_SERVER = 67, DHCPV6_SERVER = 547 };
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

/* A frame as far as it was understood. Ports in host byte order. */
struct packet {
	struct address remote;
	struct address local;
	__u32 length;
	__u32 payload;
	__u32 payload_length;
	__u16 ethertype;
	__u16 remote_port;
	__u16 local_port;
	/* ICMP echo: its identifier, the flow's name beside the remote address. */
	__u16 identifier;
	__u8 protocol;
	__u8 direction;
	__u8 tcp_flags;
	__u8 hop_limit;
	/* To a group of MACs: only neighbour discovery may use it. */
	__u8 multicast;
	__u8 unused[3];
};

INLINE int same_mac(const __u8 *a, const __u8 *b)
{
	return *(__u16 *)a == *(__u16 *)b && *(__u16 *)(a + 2) == *(__u16 *)(b + 2) &&
	       *(__u16 *)(a + 4) == *(__u16 *)(b + 4);
}

SEPARATE int is_leased(const struct head *head, const struct address *a)
{
	if (!head || !a)
		return 0;
	for (__u32 i = 0; i < ADDRESSES_MAX; i++) {
		if (i >= head->addresses)
			return 0;
		if (head->address[i].high == a->high && head->address[i].low == a->low)
			return 1;
	}
	return 0;
}

/* An address that came in an IPv6 packet, be it in its header or in neighbour discovery. */
INLINE int is_leased_v6(const struct head *head, const struct address *a)
{
	return !is_mapped(a) && is_leased(head, a);
}

INLINE void map_v4(struct address *to, __u32 v4)
{
	to->high = 0;
	to->low = ((__u64)v4 << 32) | 0xffff0000;
}

/* Multicast of both families, and the broadcast address of IPv4: no realm speaks to many. */
INLINE int is_group(const struct address *a)
{
	__u32 v4 = swap32((__u32)(a->low >> 32));

	if (is_mapped(a))
		return v4 >> 28 == 0xe || v4 == 0xffffffff;
	return (a->high & 0xff) == 0xff;
}

INLINE enum reason parse_ethernet(struct __sk_buff *skb, const struct head *head, struct packet *p)
{
	__u8 frame[ETHERNET] __attribute__((aligned(2)));

	p->length = skb->len;
	if (load_bytes(skb, 0, frame, ETHERNET))
		return MALFORMED;
	p->ethertype = swap16(*(__u16 *)(frame + 12));
	if (skb->vlan_present)
		return UNSUPPORTED;
	if (p->ethertype != TYPE_IPV4 && p->ethertype != TYPE_ARP && p->ethertype != TYPE_IPV6)
		return UNSUPPORTED;
	if (p->direction == OUT) {
		p->multicast = frame[0] & 1;
		return same_mac(frame + 6, head->mac) ? PASS : SPOOFED;
	}
	if (same_mac(frame, head->mac))
		return PASS;
	if (p->ethertype == TYPE_ARP && *(__u32 *)frame == 0xffffffff && *(__u16 *)(frame + 4) == 0xffff)
		return PASS;
	if (p->ethertype == TYPE_IPV6 && *(__u16 *)frame == 0x3333) {
		p->multicast = 1;
		return PASS;
	}
	return NOT_MINE;
}

struct ipv4 {
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
};

INLINE enum reason parse_ipv4(struct __sk_buff *skb, struct packet *p)
{
	struct ipv4 ip;

	if (load_bytes(skb, ETHERNET, &ip, IPV4))
		return MALFORMED;
	__u32 header = (ip.version_length & 15) * 4;
	__u32 total = swap16(ip.total);
	if (ip.version_length >> 4 != 4 || header < IPV4 || total < header || total > p->length - ETHERNET)
		return MALFORMED;
	if (ip.fragment & swap16(0x3fff))
		return UNSUPPORTED;
	p->payload = ETHERNET + header;
	p->payload_length = total - header;
	p->protocol = ip.protocol;
	map_v4(&p->remote, p->direction == OUT ? ip.destination : ip.source);
	map_v4(&p->local, p->direction == OUT ? ip.source : ip.destination);
	return PASS;
}

struct ipv6 {
	__u32 version_class_label;
	__u16 payload;
	__u8 next;
	__u8 hop_limit;
	struct address source;
	struct address destination;
};

/* Extension headers, ESP, AH, mobility, HIP, shim6: what follows can't be judged. */
INLINE int is_extension(__u8 next)
{
	switch (next) {
	case 0:
	case 43:
	case 44:
	case 50:
	case 51:
	case 60:
	case 135:
	case 139:
	case 140:
		return 1;
	default:
		return 0;
	}
}

INLINE enum reason parse_ipv6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6 ip;

	if (load_bytes(skb, ETHERNET, &ip, IPV6))
		return MALFORMED;
	__u32 payload = swap16(ip.payload);
	if ((ip.version_class_label & 0xf0) != 0x60 || payload > p->length - ETHERNET - IPV6)
		return MALFORMED;
	/* An IPv4 address in an IPv6 header would be judged by the IPv4 one's rules and flows. */
	if (is_extension(ip.next) || is_mapped(&ip.source) || is_mapped(&ip.destination))
		return UNSUPPORTED;
	p->payload = ETHERNET + IPV6;
	p->payload_length = payload;
	p->protocol = ip.next;
	p->hop_limit = ip.hop_limit;
	p->remote = p->direction == OUT ? ip.destination : ip.source;
	p->local = p->direction == OUT ? ip.source : ip.destination;
	return PASS;
}

INLINE int is_dhcp_server(int v4, __u16 port)
{
	return port == (v4 ? DHCP_SERVER : DHCPV6_SERVER);
}

INLINE void set_ports(struct packet *p, __u16 source, __u16 destination)
{
	p->remote_port = swap16(p->direction == OUT ? destination : source);
	p->local_port = swap16(p->direction == OUT ? source : destination);
}

/* Ports, or ICMP type and code in the local port's place. */
INLINE enum reason parse_transport(struct __sk_buff *skb, struct packet *p)
{
	__u8 header[20] __attribute__((aligned(4)));

	switch (p->protocol) {
	case TCP:
		if (p->payload_length < 20 || load_bytes(skb, p->payload, header, 20))
			return MALFORMED;
		if (header[12] >> 4 < 5)
			return MALFORMED;
		p->tcp_flags = header[13];
		break;
	case UDP:
		if (p->payload_length < 8 || load_bytes(skb, p->payload, header, 8))
			return MALFORMED;
		break;
	case SCTP:
		if (p->payload_length < 12 || load_bytes(skb, p->payload, header, 8))
			return MALFORMED;
		break;
	case ICMP:
	case ICMPV6:
		if (p->payload_length < 8 || load_bytes(skb, p->payload, header, 8))
			return MALFORMED;
		p->local_port = header[0] << 8 | header[1];
		p->identifier = swap16(*(__u16 *)(header + 4));
		return PASS;
	default:
		return PASS;
	}
	set_ports(p, *(__u16 *)header, *(__u16 *)(header + 2));
	/* What a DHCP server or relay says, nobody takes from a realm. */
	if (p->direction == OUT && p->protocol == UDP && is_dhcp_server(p->ethertype == TYPE_IPV4, p->local_port))
		return UNSUPPORTED;
	return PASS;
}

/* ICMP echo, and IPv6 neighbour discovery (RFC 4861), and ARP (RFC 826): how neighbours find each other. */
#pragma once

#include "parse.h"

enum echo { NOT_ECHO, ECHO_REQUEST, ECHO_REPLY };

INLINE enum echo echo_kind(const struct packet *p)
{
	__u8 type = p->local_port >> 8;

	if (p->protocol == ICMP)
		return type == 8 ? ECHO_REQUEST : type == 0 ? ECHO_REPLY : NOT_ECHO;
	return type == 128 ? ECHO_REQUEST : type == 129 ? ECHO_REPLY : NOT_ECHO;
}

/* Unreachable, too big, time exceeded, bad parameter: RFC 792, RFC 4443. */
INLINE int is_error(const struct packet *p)
{
	__u8 type = p->local_port >> 8;

	if (p->protocol == ICMP)
		return p->ethertype == TYPE_IPV4 && (type == 3 || type == 11 || type == 12);
	return p->protocol == ICMPV6 && p->ethertype == TYPE_IPV6 && type >= 1 && type <= 4;
}

struct arp {
	__u16 hardware;
	__u16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__u16 operation;
	__u8 sender_mac[6];
	__u8 sender[4];
	__u8 target_mac[6];
	__u8 target[4];
} __attribute__((aligned(4)));

INLINE enum reason judge_arp(struct __sk_buff *skb, const struct head *head, struct packet *p)
{
	struct arp arp;
	struct address a;
	__u32 v4;

	if (load_bytes(skb, ETHERNET, &arp, ARP))
		return MALFORMED;
	if (arp.hardware != swap16(1) || arp.protocol != swap16(TYPE_IPV4) || arp.hardware_length != 6 ||
	    arp.protocol_length != 4 || (arp.operation != swap16(1) && arp.operation != swap16(2)))
		return MALFORMED;
	if (p->direction == IN) {
		copy(&v4, arp.target, 4);
		map_v4(&a, v4);
		return is_leased(head, &a) ? PASS : NOT_MINE;
	}
	if (!same_mac(arp.sender_mac, head->mac))
		return SPOOFED;
	copy(&v4, arp.sender, 4);
	/* A probe (RFC 5227) for another's address would make its owner give it up. */
	if (v4 == 0 && arp.operation == swap16(1))
		copy(&v4, arp.target, 4);
	map_v4(&a, v4);
	return is_leased(head, &a) ? PASS : SPOOFED;
}

enum { ROUTER_SOLICITATION = 133, ROUTER_ADVERTISEMENT = 134, SOLICITATION = 135, ADVERTISEMENT = 136, REDIRECT = 137 };
enum { NEIGHBOUR = 24, NEIGHBOUR_WITH_OPTION = 32 };

struct neighbour {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u32 flags;
	struct address target;
};

/* A link-layer address option, if it comes first, must not claim another's MAC. */
INLINE int option_is_honest(struct __sk_buff *skb, const struct head *head, const struct packet *p)
{
	__u8 option[8] __attribute__((aligned(2)));

	if (p->payload_length < NEIGHBOUR_WITH_OPTION)
		return 1;
	if (load_bytes(skb, p->payload + NEIGHBOUR, option, 8))
		return 0;
	return (option[0] != 1 && option[0] != 2) || same_mac(option + 2, head->mac);
}

INLINE enum reason judge_neighbour(struct __sk_buff *skb, const struct head *head, const struct packet *p,
				   const struct neighbour *n)
{
	if (p->direction == IN) {
		if (n->type == SOLICITATION)
			return is_leased_v6(head, &n->target) ? PASS : NOT_MINE;
		/* ff02::1, all nodes */
		if (p->local.high == 0x2ff && p->local.low == 0x0100000000000000)
			return PASS;
		return is_leased_v6(head, &p->local) ? PASS : NOT_MINE;
	}
	if (n->type == SOLICITATION && p->local.high == 0 && p->local.low == 0) {
		/* Detection of duplicates (RFC 4862): asked about another's address, its owner would give it up. */
		if (!is_leased_v6(head, &n->target))
			return SPOOFED;
	} else if (!is_leased_v6(head, &p->local)) {
		return SPOOFED;
	}
	if (n->type == ADVERTISEMENT && !is_leased_v6(head, &n->target))
		return SPOOFED;
	return option_is_honest(skb, head, p) ? PASS : SPOOFED;
}

/* Neighbour discovery is judged here and `*done`; every other IPv6 packet goes on. */
INLINE enum reason judge_discovery(struct __sk_buff *skb, const struct head *head, const struct packet *p, int *done)
{
	struct neighbour n;
	__u8 type;

	*done = 1;
	if (p->protocol == ICMPV6 && p->payload_length >= 1) {
		if (load_bytes(skb, p->payload, &type, 1))
			return MALFORMED;
		if (type == ROUTER_SOLICITATION || type == ROUTER_ADVERTISEMENT || type == REDIRECT)
			return UNSUPPORTED;
		if ((type == SOLICITATION || type == ADVERTISEMENT) && p->hop_limit == 255 &&
		    p->payload_length >= NEIGHBOUR) {
			if (load_bytes(skb, p->payload, &n, NEIGHBOUR))
				return MALFORMED;
			if (n.code == 0)
				return judge_neighbour(skb, head, p, &n);
		}
	}
	*done = 0;
	return PASS;
}

/*
 * The filter of one realm, on the host's end of its link: `leave` on ingress judges what the realm
 * sends, `enter` on egress what is sent to it. Whatever is not understood, unset or missing is dropped.
 */
#include "quote.h"
#include "short.h"
#include "log.h"

INLINE const struct head *live_head(void)
{
	__u32 first = 0;
	void *inner = map_lookup(&live, &first);

	return inner ? map_lookup(inner, &first) : 0;
}

INLINE int is_own(const struct head *head, const struct packet *p)
{
	if (p->ethertype == TYPE_IPV6)
		return is_leased_v6(head, &p->local);
	return is_leased(head, &p->local);
}

/* The order of the checks is part of the promise: the first that fails names the reason. */
INLINE enum reason judge(struct __sk_buff *skb, const struct head *head, struct packet *p, __u64 now, __u8 *tier)
{
	enum reason reason;
	int done = 0;

	reason = parse_ethernet(skb, head, p);
	if (reason)
		return reason;
	if (p->ethertype == TYPE_ARP)
		return judge_arp(skb, head, p);
	reason = p->ethertype == TYPE_IPV4 ? parse_ipv4(skb, p) : parse_ipv6(skb, p);
	if (reason)
		return reason;
	if (p->ethertype == TYPE_IPV6) {
		reason = judge_discovery(skb, head, p, &done);
		if (reason || done)
			return reason;
	}
	if (p->multicast)
		return p->direction == OUT ? UNSUPPORTED : NOT_MINE;
	if (is_group(&p->remote))
		return UNSUPPORTED;
	if (!is_own(head, p))
		return p->direction == OUT ? SPOOFED : NOT_MINE;
	reason = parse_transport(skb, p);
	if (reason)
		return reason;
	if (is_error(p) && quotes_live_flow(skb, head, p, now))
		return PASS;
	return judge_flow(head, p, now, tier);
}

INLINE int filter(struct __sk_buff *skb, __u8 direction)
{
	const struct head *head = live_head();
	struct packet p;
	struct flow_key key;
	enum reason reason = CLOSED;
	__u64 now = recent();
	__u8 tier = 0;

	zero(&p, sizeof(p));
	p.direction = direction;
	if (head && is_open(now)) {
		zero(&key, sizeof(key));
		enum way way = short_way(skb, head, &p, &key, now);
		if (way == LIVE) {
			count(direction, PASS, packets_in(skb));
			return TC_ACT_OK;
		}
		if (way == NEW) {
			reason = judge_first(head, &p, &key, now, &tier);
		} else {
			zero(&p, sizeof(p));
			p.direction = direction;
			reason = judge(skb, head, &p, now, &tier);
		}
	}
	return conclude(skb, &p, now, reason, tier);
}

SECTION("classifier") int leave(struct __sk_buff *skb)
{
	return filter(skb, OUT);
}

SECTION("classifier") int enter(struct __sk_buff *skb)
{
	return filter(skb, IN);
}

SECTION("license") char terms[] = "Apache-2.0";

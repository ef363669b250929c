/* The realm's own flow table: who began a flow, and under which generation it was last admitted. */
#pragma once

#include "clock.h"
#include "icmp.h"

/* Whether a packet may be the first of a flow. */
INLINE int may_begin(const struct packet *p)
{
	if (p->protocol == TCP)
		return (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	if (p->protocol == ICMP || p->protocol == ICMPV6)
		return echo_kind(p) == ECHO_REQUEST;
	return 1;
}

/* The flow's name. Zero for ICMP other than echo: it has none. */
INLINE int key_of(const struct packet *p, struct flow_key *key)
{
	zero(key, sizeof(*key));
	key->remote = p->remote;
	key->protocol = p->protocol;
	if (p->protocol == ICMP || p->protocol == ICMPV6) {
		key->remote_port = p->identifier;
		return echo_kind(p) != NOT_ECHO;
	}
	key->remote_port = p->remote_port;
	key->local_port = p->local_port;
	return 1;
}

INLINE int is_idle(const struct flow *flow, __u8 protocol, __u64 now)
{
	__s64 limit = protocol != TCP ? 60 : flow->closing == 3 ? 10 : 3600;

	/* Signed: another processor may have seen the flow a little after our `now`. */
	return (__s64)(now - flow->last_seen) >= limit * SECOND;
}

/* An echo request goes the way the flow began, a reply the other. */
INLINE int matches(const struct flow *flow, const struct packet *p)
{
	if (p->protocol != ICMP && p->protocol != ICMPV6)
		return 1;
	return (echo_kind(p) == ECHO_REQUEST) == (flow->direction == p->direction);
}

/* A SYN on a flow that is closing begins a new connection with the old ports. */
INLINE void mark_closing(struct flow *flow, const struct packet *p)
{
	if (p->protocol != TCP)
		return;
	if ((p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		flow->closing = 0;
	if (p->tcp_flags & TCP_FIN)
		flow->closing |= 1 << p->direction;
	if (p->tcp_flags & TCP_RST)
		flow->closing = 3;
}

INLINE void ask(struct question *q, const struct packet *p, __u32 form)
{
	q->form = form;
	q->direction = p->direction;
	q->protocol = p->protocol;
	q->remote_port = p->remote_port;
	q->local_port = p->local_port;
	q->remote = p->remote;
}

/* The flow's first packet, asked again under a newer generation. */
INLINE enum reason admit_again(const struct head *head, const struct packet *p, const struct flow_key *key,
			       const struct flow *old, __u64 now, __u8 *tier)
{
	struct question q;
	struct flow fresh = *old;

	ask(&q, p, FORM_FLOW);
	q.direction = old->direction;
	q.remote_port = old->remote_port;
	q.local_port = old->local_port;
	__u32 refusing = first_refusing(head, &q);
	if (refusing != TIERS_MAX) {
		map_delete(&flows, key);
		*tier = refusing;
		return REFUSED;
	}
	/* By key, not in place: the entry may meanwhile have become another flow's. */
	fresh.generation = head->generation;
	fresh.last_seen = now;
	mark_closing(&fresh, p);
	map_update(&flows, key, &fresh, BPF_EXIST);
	return PASS;
}

INLINE enum reason begin(const struct head *head, const struct packet *p, const struct flow_key *key, __u64 now)
{
	struct flow fresh;

	zero(&fresh, sizeof(fresh));
	fresh.generation = head->generation;
	fresh.last_seen = now;
	fresh.began = now;
	fresh.remote_port = p->remote_port;
	fresh.local_port = p->local_port;
	fresh.direction = p->direction;
	mark_closing(&fresh, p);
	return map_update(&flows, key, &fresh, BPF_ANY) ? TABLE_FULL : PASS;
}

/* The packet belongs to no flow: it begins one, passes alone, or is dropped. */
INLINE enum reason judge_first(const struct head *head, const struct packet *p, const struct flow_key *key, __u64 now,
			       __u8 *tier)
{
	struct question q;
	enum reason reason = NO_FLOW;

	if (may_begin(p)) {
		ask(&q, p, FORM_FLOW);
		__u32 refusing = first_refusing(head, &q);
		if (refusing == TIERS_MAX)
			return begin(head, p, key, now);
		*tier = refusing;
		reason = REFUSED;
	}
	ask(&q, p, FORM_ONE_WAY);
	return first_refusing(head, &q) == TIERS_MAX ? PASS : reason;
}

INLINE enum reason judge_flow(const struct head *head, const struct packet *p, __u64 now, __u8 *tier)
{
	struct flow_key key;
	struct flow *flow = 0;

	if (key_of(p, &key))
		flow = map_lookup(&flows, &key);
	if (!flow || is_idle(flow, p->protocol, now) || !matches(flow, p))
		return judge_first(head, p, &key, now, tier);
	if (flow->generation != head->generation)
		return admit_again(head, p, &key, flow, now, tier);
	flow->last_seen = now;
	mark_closing(flow, p);
	return PASS;
}

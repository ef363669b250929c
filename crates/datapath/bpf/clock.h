/* What time it is. Reading the clock costs as much as half the short way: so it is read once a tick. */
#pragma once

#include "state.h"

#define SECOND 1000000000ll
/* More than a tick of any kernel: 10 ms at 100 Hz. */
#define TICK_MAX (SECOND / 20)

/* Time since the machine started, as it was at most a tick ago. */
INLINE __u64 recent(void)
{
	__u32 first = 0;
	__u64 tick = ticks();
	struct reading *reading = map_lookup(&clock, &first);

	if (!reading)
		return boot_time_ns();
	if (reading->tick != tick || !reading->now) {
		reading->tick = tick;
		reading->now = boot_time_ns();
	}
	return reading->now;
}

/* Whether anything may pass. Near its end the deadline is held to the nanosecond. */
INLINE int is_open(__u64 now)
{
	__u32 which = GATE_OPEN;
	__u64 *open = map_lookup(&gate, &which);

	which = GATE_DEADLINE;
	__u64 *deadline = map_lookup(&gate, &which);
	if (!open || !deadline || *open != 1 || now >= *deadline)
		return 0;
	return *deadline - now > TICK_MAX || boot_time_ns() < *deadline;
}

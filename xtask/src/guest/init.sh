#!/bin/busybox sh
# The guest's first process: readies the machine, runs the trials, powers off.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
if [ "$1" != inside ]; then
    /bin/busybox mkdir -p /usr/bin /usr/sbin /sbin /root
    /bin/busybox --install -s
    # The archive's own root cannot be left by pivot_root(2), as engines leave theirs: one over it can.
    mount -o bind / /root && cd /root && mount -o move . / && exec chroot . /init inside
fi
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for module in /modules/*.ko; do insmod "$module"; done
ip link set lo up
cd /work

say() { echo "guest: $*"; }

seconds() { cut -d. -f1 /proc/uptime; }

# trial NAME COMMAND…: the command is to end well, and to have run a test.
trial() {
    name=$1 from=$(seconds)
    shift
    { "$@"; echo $? >/tmp/ended; } | tee /tmp/said
    passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' /tmp/said)
    if [ "$(cat /tmp/ended)" = 0 ] && [ "${passed:-0}" -ge 1 ]; then
        say "$name: ok, $passed passed, $(($(seconds) - from)) s"
    else
        say "$name: FAILED, exit $(cat /tmp/ended), ${passed:-none} passed"
        dmesg | tail -n 20
    fi
}

# What the product itself makes of version 2's control groups; and nothing of them is left.
limits_engines() {
    grep -q 'cpu.*memory.*pids' /sys/fs/cgroup/cgroup.controllers || return
    ./engine --exact "$@" || return
    left=$(find /sys/fs/cgroup -mindepth 1 -type d)
    [ -z "$left" ] || { echo "left: $left"; return 1; }
}

# This kernel has no memfd_secret, and the status says so.
falls_back() {
    ./slice --exact the_status_says_where_custody_keeps_its_secrets >/tmp/told
    ended=$?
    cat /tmp/told
    [ "$ended" = 0 ] && grep -q 'in ordinary memory' /tmp/told
}

# The firmware leaves the cursor in the middle of a line.
echo
say "up after $(seconds) s, Linux $(uname -r)"
@TRIALS@
poweroff -f

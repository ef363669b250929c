#!/bin/busybox sh
# The guest's first process: readies the machine, runs the trials, powers off.
/bin/busybox mkdir -p /usr/bin /usr/sbin /sbin
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
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

# trial NAME COMMAND…
trial() {
    name=$1 from=$(seconds)
    shift
    if "$@"; then
        say "$name: ok, $(($(seconds) - from)) s"
    else
        say "$name: FAILED, exit $?"
        dmesg | tail -n 20
    fi
}

# A group of its own holds its processes to the number that it was given.
limits_processes() {
    group=/sys/fs/cgroup/trial
    grep -q memory /sys/fs/cgroup/cgroup.controllers &&
        echo '+pids +memory' >/sys/fs/cgroup/cgroup.subtree_control &&
        mkdir "$group" &&
        echo 3 >"$group/pids.max" &&
        echo 64M >"$group/memory.max" || return
    # The fourth process cannot be made.
    sh -c 'echo $$ >"$1/cgroup.procs"; for i in 1 2 3; do sleep 60 & done' sh "$group" 2>/dev/null
    refused=$(sed -n 's/^max //p' "$group/pids.events")
    echo 1 >"$group/cgroup.kill"
    while grep -q 'populated 1' "$group/cgroup.events"; do :; done
    rmdir "$group" && [ "$refused" -ge 1 ]
}

# This kernel has no memfd_secret, and the status says so.
falls_back() {
    ./slice the_status_says_where_custody_keeps_its_secrets >/tmp/told && grep 'in ordinary memory' /tmp/told
}

# The firmware leaves the cursor in the middle of a line.
echo
say "up after $(seconds) s, Linux $(uname -r)"
@TRIALS@
poweroff -f

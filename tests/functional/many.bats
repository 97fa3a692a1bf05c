#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Fifty guests at once on one host.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

COUNT=50

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq catatonit
  [ "$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)" -ge 1024 ] ||
    skip "needs 1 GiB of free memory"
  make_tools_guests "g[01-$COUNT]"
}

# What all processes of the guests take: their monitors, and what is in the containers, in KiB of
# memory that nobody else uses.
private_kib () {
  find /sys/fs/cgroup -path "*/vguest/*-$(root_id)*/cgroup.procs" -exec cat {} + | sort -u |
    while read -r pid; do
      awk '/^Private_/ { sum += $2 } END { print sum + 0 }' "/proc/$pid/smaps_rollup" 2>/dev/null
    done | awk '{ sum += $1 } END { print sum + 0 }'
}

milliseconds () {
  echo $(($(date +%s%N) / 1000000))
}

# timed COMMAND…: sets took, in milliseconds; the output goes to $T/output.
timed () {
  local start
  start=$(milliseconds)
  "$@" >"$T/output"
  took=$(($(milliseconds) - start))
}

@test "$COUNT guests at once: start, vguest-stat, vexec, stop" {
  local took best=999999 _
  timed vguest -q --all start -j 4
  echo "# start of $COUNT guests: $took ms; memory of each: $(($(private_kib) / COUNT)) KiB" >&3
  [ "$(vguest --all running | wc -l)" = "$COUNT" ]

  for _ in 1 2 3; do
    timed vguest-stat --all
    [ "$took" -ge "$best" ] || best=$took
  done
  [ "$(grep -c running "$T/output")" = "$COUNT" ]
  echo "# vguest-stat of $COUNT guests: $best ms" >&3
  [ "$best" -lt "$(stat_limit)" ]

  timed vexec --all -- true
  echo "# vexec --all -- true: $took ms" >&3
  timed vexec --all -- hostname
  diff "$T/output" <(for guest in $(vguest --all running); do echo "$guest: $guest"; done)

  timed vguest -q --all stop -j 4
  echo "# stop of $COUNT guests: $took ms" >&3
  [ -z "$(vguest --all running || true)" ]
  assert_no_guests_left
  check_root
}

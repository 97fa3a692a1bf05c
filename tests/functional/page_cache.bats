#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What several guests read is in the host's memory once.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

MIB=200

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq catatonit fincore nsenter python3
  make_tools_template "$T/source"
  head -c "${MIB}M" /dev/urandom >"$T/source/usr/lib/big"
  vtemplate -q import big "$T/source"
  rm -r "$T/source"
  vguest -q 'web[1-2]' build -m clone -- -s big
  vguest -q web1,web2 start
}

# MiB of the file that are in the page cache.
resident () {
  echo $(($(fincore --bytes --noheadings --output RES "$1") >> 20))
}

cached () {
  awk '/^Cached:/ { print int($2 / 1024) }' /proc/meminfo
}

# Drops the pages of the file, for reading only.
evict () {
  sync -f "$1"
  python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)' "$1"
}

# The guest's own cat, in its namespaces.
read_in () {
  local pid
  pid=$(vguest "$1" status --json | jq .guests[0].init_pid)
  nsenter --target "$pid" --mount --root --wd cat /usr/lib/big >/dev/null
}

@test "a file of $MIB MiB that two guests read is cached once" {
  local file=$VGUEST_ROOT/guests/web1/tree/usr/lib/big start first second _
  same_inode "$file" "$VGUEST_ROOT/guests/web2/tree/usr/lib/big"

  # Others use the machine as well: one quiet round of five is enough for the sum.
  for _ in {1..5}; do
    evict "$file"
    [ "$(resident "$file")" -lt 10 ]
    start=$(cached)
    read_in web1
    first=$(cached)
    [ "$(resident "$file")" = "$MIB" ]
    read_in web2
    second=$(cached)
    [ "$(resident "$file")" = "$MIB" ]
    echo "# cache: $start MiB, after guest 1 $first MiB, after guest 2 $second MiB" >&3
    if [ $((first - start)) -ge $((MIB * 8 / 10)) ] && [ $((first - start)) -le $((MIB * 12 / 10)) ] &&
      [ $((second - first)) -le $((MIB / 10)) ] && [ $((second - first)) -ge $((-MIB / 10)) ]; then
      break
    fi
    start=
  done
  [ -n "$start" ]
}

@test "a guest that writes to the file gets pages of its own" {
  local pid file=$VGUEST_ROOT/guests/web1/tree/usr/lib/big
  pid=$(vguest web2 status --json | jq .guests[0].init_pid)
  nsenter --target "$pid" --mount --root --wd sh -c 'echo >>/usr/lib/big'
  evict "$VGUEST_ROOT/guests/web2/private/usr/lib/big"
  evict "$file"
  read_in web2
  [ "$(resident "$file")" -lt 10 ]
  [ "$(resident "$VGUEST_ROOT/guests/web2/private/usr/lib/big")" -ge "$MIB" ]
  read_in web1
  [ "$(resident "$file")" = "$MIB" ]
}

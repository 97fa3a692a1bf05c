#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Four processes read and stat files through a tree while they are folded and unified again and
# again: never missing, never wrong. VGUEST_RACE_ROUNDS rounds; 150 without it, 10000 in
# `make check-faults`.

bats_require_minimum_version 1.5.0
load ../lib/common
load judging.bash

# make_version N FILE: 4096 bytes.
make_version () {
  local text
  printf -v text 'version %s\n' "$1"
  {
    printf %s "$text"
    head -c $((4096 - ${#text})) /dev/zero | tr '\0' .
  } >"$2"
}

# new_version N: written in both guests, as if they had run and had been upgraded.
new_version () {
  local guest
  make_version "$1" "$T/version"
  touch -d "@$((1700000000 + $1))" "$T/version"
  for guest in web1 web2; do
    mkdir -p "$VGUEST_ROOT/guests/$guest/private/usr/lib"
    cp -p "$T/version" "$VGUEST_ROOT/guests/$guest/private/usr/lib/folded"
  done
}

# tear_apart NAME: the name in the tree of both guests gets an inode of its own again, as a host's
# accident would do.
tear_apart () {
  local guest tree
  for guest in web1 web2; do
    tree=$VGUEST_ROOT/guests/$guest/tree/usr/lib
    cp -p "$tree/$1" "$T/torn"
    mv -f "$T/torn" "$tree/$1"
  done
}

@test "readers see every file of a tree, whole, while it is folded and unified" {
  local round readers tree=$VGUEST_ROOT/guests/web1/tree/usr/lib
  skip_unless_overlay
  skip_unless_program setfattr
  use_memory
  make_small_template "$T/source"
  make_version 1 "$T/source/usr/lib/folded"
  make_version 1 "$T/source/usr/lib/unified"
  make_version 1 "$T/source/usr/lib/both"
  ln "$T/source/usr/lib/both" "$T/source/usr/lib/both-partner"
  chmod 0644 "$T"/source/usr/lib/{folded,unified,both}
  vtemplate -q import small "$T/source"
  vguest -q web1,web2 build -m clone -- -s small
  mkfifo "$T/end"
  "${CHECK_ROOT%/lib/*}/fault/readers" 4 "$tree"/{folded,unified,both,both-partner} <"$T/end" \
    >"$T/readers" 3>&- &
  readers=$!
  exec 8>"$T/end"
  for ((round = 2; round < ${VGUEST_RACE_ROUNDS:-150} + 2; round++)); do
    new_version "$round"
    tear_apart unified
    vhashify -q --all 8>&-
    kill -0 "$readers" || break
  done
  exec 8>&-
  wait "$readers" || {
    cat "$T/readers"
    return 1
  }
  head -n 1 "$tree/folded"
  head -n 1 "$tree/folded" | grep -qx "version $((round - 1))"
  same_inode "$VGUEST_ROOT"/guests/web[12]/tree/usr/lib/unified
  same_inode "$VGUEST_ROOT"/guests/web[12]/tree/usr/lib/folded
  check_root
  assert_nothing_left
  [ "$(grep -c rounds "$T/readers")" = 4 ]
}

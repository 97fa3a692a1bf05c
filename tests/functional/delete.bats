#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vguest NAMES delete.

load ../lib/common

setup () {
  common_setup
  skip_unless_root
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  GUESTS=$VGUEST_ROOT/guests
  vguest -q 'web[1-4],db' build -m clone -- -s small
}

disk_bytes () {
  du -s -B1 "$VGUEST_ROOT" | cut -f1
}

# The names of the guests that are there, in one line.
guests () {
  find "$GUESTS" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | paste -sd ' '
}

@test "without a terminal --yes is needed" {
  run vguest web1 delete </dev/null
  assert_status 2
  assert_contains "$output" "--yes"
  [ -d "$GUESTS/web1" ]
  run vguest web1 delete --yes </dev/null
  assert_status 0
  [ ! -e "$GUESTS/web1" ]
  assert_nothing_left
  check_root
}

@test "on a terminal it shows the names and asks" {
  skip_unless_program script
  run script -qec "vguest 'web*' delete" /dev/null <<<"n"
  assert_status 4
  assert_contains "$output" "web1 web2 web3 web4"
  [ -d "$GUESTS/web1" ]
  run script -qec "vguest 'web*' delete" /dev/null <<<"y"
  assert_status 0
  [ "$(ls "$GUESTS")" = db ]
}

@test "names, ranges, globs; an unknown name deletes nothing" {
  run vguest web1,webb delete --yes
  assert_status 5
  assert_contains "$output" "did you mean"
  [ -d "$GUESTS/web1" ]
  run vguest --json 'web[1-2],d*' delete --yes
  assert_status 0
  [ "$(json '.deleted | join(" ")')" = "db web1 web2" ]
  [ "$(guests)" = "web3 web4" ]
}

@test "what only the deleted guests used is freed, and told to the byte" {
  local before freed
  head -c 300000 /dev/urandom >"$GUESTS/web1/private/etc/own"
  # In two guests, and in no other: freed with the second one.
  head -c 200000 /dev/urandom >"$GUESTS/web1/tree/usr/lib/both"
  ln "$GUESTS/web1/tree/usr/lib/both" "$GUESTS/web2/tree/usr/lib/both"
  vguest -q web1 hashify
  vguest -q web2 hashify
  vstore -q gc # makes its lock
  before=$(disk_bytes)
  run vguest --json web1,web2 delete --yes
  assert_status 0
  freed=$(json .freed_bytes)
  [ "$freed" -ge 500000 ]
  [ "$(json .collected)" = true ]
  [ $((before - $(disk_bytes))) = "$freed" ]
  check_root
}

@test "the last guest and the template gone, the store is empty" {
  vguest -q '*' delete --yes
  vtemplate -q delete --yes small
  [ -z "$(find "$VGUEST_ROOT/store" -type f)" ]
  [ "$(vguest-stat --disk --json | jq -c '[.store.objects, .store.bytes, .saved_bytes]')" = "[0,0,0]" ]
}

@test "a mounted guest is refused, the others go" {
  mount -t tmpfs tmpfs "$GUESTS/web2/work"
  run vguest web2 delete --yes
  assert_status 1
  assert_contains "$output" "mounted"
  run vguest 'web*' delete --yes
  assert_status 3
  [ "$(guests)" = "db web2" ]
  umount "$GUESTS/web2/work"
  vguest -q web2 delete --yes
}

@test "a locked guest is waited for, or not" {
  run flock "$GUESTS/web1/lock" vguest --no-wait web1 delete --yes
  assert_status 7
  [ -d "$GUESTS/web1" ]
  flock "$GUESTS/web1/lock" sleep 1 &
  sleep 0.2
  vguest -q web1 delete --yes
  wait
  [ ! -e "$GUESTS/web1" ]
}

@test "a damaged guest can be deleted" {
  echo nonsense >"$GUESTS/web1/state.json"
  rm -r "$GUESTS/web2/private" "$GUESTS/web2/config.json" "$GUESTS/web2/lock"
  vguest -q web1,web2 delete --yes
  [ ! -e "$GUESTS/web1" ] && [ ! -e "$GUESTS/web2" ]
  check_root
}

@test "objects are freed later when another command is collecting" {
  exec 8<>"$VGUEST_ROOT/gc-lock"
  flock 8
  head -c 100000 /dev/urandom >"$GUESTS/web1/tree/usr/lib/new"
  vguest -q web1 hashify 8>&-
  run vguest --json web1 delete --yes 8>&-
  assert_status 0
  [ "$(json .collected)" = false ]
  [ -n "$(find "$VGUEST_ROOT/store" -type f -size 100000c)" ]
  exec 8>&-
  vguest -q db delete --yes
  [ -z "$(find "$VGUEST_ROOT/store" -type f -size 100000c)" ]
}

@test "kill -9 at any moment: each guest is whole or absent, and nothing is left" {
  local expected round name
  expected=$(tree_list "$GUESTS/web1/tree" | sha256sum)
  for ((round = 1; round <= 20; round++)); do
    bash -c 'vguest -q "web*" delete --yes & sleep "$1"; kill -9 $!; wait' bash \
      "0.$(printf '%03d' $((RANDOM % 25)))" 2>/dev/null || true
    for name in $(guests); do
      [ "$(tree_list "$GUESTS/$name/tree" | sha256sum)" = "$expected" ]
    done
    vstore -q gc
    assert_nothing_left
    check_root
    for name in web1 web2 web3 web4; do
      [ -e "$GUESTS/$name" ] || vguest -q "$name" build -m clone -- -s small
    done
  done
}

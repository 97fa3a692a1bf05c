#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vstore gc.

load ../lib/common

setup () {
  common_setup
  skip_unless_root
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  GUESTS=$VGUEST_ROOT/guests
  vguest -q web1,web2 build -m clone -- -s small
}

make_garbage () {
  head -c 100000 /dev/urandom >"$GUESTS/web1/tree/usr/lib/garbage"
  vguest -q web1 hashify
  rm "$GUESTS/web1/tree/usr/lib/garbage"
}

@test "nothing to collect" {
  local before
  before=$(store_sums)
  run vstore --json gc
  assert_status 0
  [ "$(json .objects)" = 0 ]
  [ "$(json .bytes)" = 0 ]
  [ "$(json .kept)" = "$(find "$VGUEST_ROOT/store" ! -type d | wc -l)" ]
  [ "$(store_sums)" = "$before" ]
}

@test "objects that no tree uses go, others stay; -n only tells" {
  local before
  before=$(store_sums)
  make_garbage
  run vstore gc --json -n
  assert_status 0
  [ "$(json .objects)" = 1 ]
  [ "$(json .bytes)" = 102400 ]
  [ -n "$(find "$VGUEST_ROOT/store" -size 100000c)" ]
  run vstore gc --json
  assert_status 0
  [ "$(json .objects)" = 1 ]
  [ "$(json .bytes)" = 102400 ]
  [ "$(store_sums)" = "$before" ]
  check_root
}

@test "what killed commands left in staging goes" {
  mkdir -p "$VGUEST_ROOT/staging/clone-0123456789abcdef/guests/x/tree"
  ln "$GUESTS/web1/tree/usr/lib/lib01.so" "$VGUEST_ROOT/staging/clone-0123456789abcdef/lib"
  run vstore gc -n
  assert_status 0
  [ -e "$VGUEST_ROOT/staging/clone-0123456789abcdef" ]
  run vstore gc
  assert_status 0
  assert_nothing_left
  check_root
}

@test "it waits until nobody uses the store, or exits 7" {
  make_garbage
  exec 8<>"$VGUEST_ROOT/lock"
  flock -s 8
  run vstore gc --no-wait 8>&-
  assert_status 7
  run vstore gc -n 8>&-
  assert_status 0
  vstore -q gc 8>&- &
  sleep 0.3
  [ -n "$(find "$VGUEST_ROOT/store" -size 100000c)" ]
  exec 8>&-
  wait $!
  [ -z "$(find "$VGUEST_ROOT/store" -size 100000c)" ]
}

@test "wrong words on the command line" {
  run vstore gc extra
  assert_status 2
  run vstore gc --bad
  assert_status 2
  run vstore collect
  assert_status 2
}

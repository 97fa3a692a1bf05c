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

garbage () {
  find "$VGUEST_ROOT/store" -size 100000c
}

@test "it runs beside others; one that collects is waited for, or not" {
  make_garbage
  exec 8<>"$VGUEST_ROOT/lock"
  flock -s 8
  exec 9<>"$VGUEST_ROOT/gc-lock"
  flock 9
  run vstore gc --no-wait 8>&- 9>&-
  assert_status 7
  assert_contains "$output" "the collection of unused objects is locked by"
  run vstore gc -n 8>&- 9>&-
  assert_status 0
  # A deletion leaves it to the next one.
  run vguest --json web2 delete --yes 8>&- 9>&-
  assert_status 0
  [ "$(json .collected)" = false ]
  [ -n "$(garbage)" ]
  exec 9>&-
  # The store is in use still.
  run vstore gc --no-wait 8>&-
  assert_status 0
  [ -z "$(garbage)" ]
  exec 8>&-
  check_root
}

@test "a command that may not, leaves the note to the next one; so does one that was killed" {
  make_garbage
  touch "$VGUEST_ROOT/gc-running"
  vguest -q web1 set notes=x
  [ -z "$(garbage)" ]
  [ -z "$(find "$VGUEST_ROOT" -maxdepth 1 -name 'gc-[rw]*')" ]
}

@test "an object that a killed collection took away, and a tree uses, comes back" {
  local object away before
  before=$(store_sums)
  object=$(find "$VGUEST_ROOT/store" -inum "$(stat -c %i "$GUESTS/web1/tree/usr/lib/lib01.so")")
  away=$VGUEST_ROOT/staging/gc-0123456789abcdef
  make_garbage
  mkdir "$away"
  mv "$object" "$away/$(basename "$(dirname "$object")")$(basename "$object")"
  object=$(garbage)
  mv "$object" "$away/$(basename "$(dirname "$object")")$(basename "$object")"
  vstore -q gc
  [ "$(store_sums)" = "$before" ]
  assert_nothing_left
  check_root
}

# fill_store DIR: 10,100 objects, with names in DIR as well. What they are is not looked at here.
fill_store () {
  python3 - "$VGUEST_ROOT/store" "$1" <<'END'
import os, sys
store, tree = sys.argv[1:]
os.makedirs(tree, exist_ok=True)
for i in range(10100):
    fan = store + "/%02x" % (i % 256)
    os.makedirs(fan, mode=0o700, exist_ok=True)
    name = "%s/%d" % (tree, i)
    open(name, "w").close()
    os.link(name, fan + "/%062x-0" % i)
END
}

@test "more than half of a small store: not without --force, but after a command that was killed" {
  local count
  count=$(find "$VGUEST_ROOT/store" -type f | wc -l)
  vguest -q web2 delete --yes
  # As an accident that took the trees.
  mv "$GUESTS/web1/tree" "$T/web1-tree" && mkdir "$GUESTS/web1/tree"
  mv "$VGUEST_ROOT/templates" "$T/templates" && mkdir "$VGUEST_ROOT/templates"
  rm -r "$T/web1-tree" "$T/templates"
  run vstore gc
  assert_status 1
  assert_contains "$output" "which is more than half"
  [ "$(find "$VGUEST_ROOT/store" -type f | wc -l)" = "$count" ]
  run vstore gc -n --json
  [ "$(json .needs_force)" = true ]
  touch "$VGUEST_ROOT/gc-wanted"
  run vstore gc -n --json
  [ "$(json .needs_force)" = false ]
  vguest -q web1 set notes=x
  [ "$(find "$VGUEST_ROOT/store" -type f | wc -l)" -lt $((count / 2)) ]
}

@test "more than half of a large store only with --force, or by who has just deleted it" {
  skip_unless_program python3
  fill_store "$GUESTS/web1/tree/many"
  # Somebody takes the names away behind our back.
  rm -r "$GUESTS/web1/tree/many"
  run vstore gc
  assert_status 1
  assert_contains "$output" "10100 of the "
  assert_contains "$output" "--force"
  run vstore gc -n --json
  assert_status 0
  [ "$(json .needs_force)" = true ]
  # By itself it is left, and said once.
  touch "$VGUEST_ROOT/gc-wanted"
  run vguest web1 set notes=x
  assert_status 0
  assert_contains "$output" "warning: 10100 of the "
  [ -e "$VGUEST_ROOT/store/00/$(printf %062x 0)-0" ]
  run vguest web1 set notes=y
  [ -z "$output" ]
  run vstore gc --force --json
  assert_status 0
  [ "$(json .objects)" = 10100 ]
  check_root
  # Whoever deletes the guest wants it so.
  fill_store "$GUESTS/web1/tree/many"
  run vguest web1 delete --yes
  assert_status 0
  refute grep -q warning <<<"$output"
  [ "$(find "$VGUEST_ROOT/store" ! -type d | wc -l)" -lt 200 ]
  check_root
}

@test "builds, deletes, clones and unifies beside a collector that never rests" {
  local stop=$T/stop collector worker
  (while [ ! -e "$stop" ]; do vstore -q gc || echo "gc: $?" >>"$T/failed"; done) 3>&- &
  collector=$!
  for worker in 1 2 3; do
    (for i in {1..12}; do
      vguest -q "w$worker-[1-2]" build -m clone -- -s small || echo "build: $?" >>"$T/failed"
      # The same new file in all of them, again and again: published, linked, unused, collected.
      echo "news $((i % 3))" >"$GUESTS/w$worker-1/private/usr-news"
      mkdir -p "$GUESTS/w$worker-1/private/usr/lib"
      mv "$GUESTS/w$worker-1/private/usr-news" "$GUESTS/w$worker-1/private/usr/lib/news"
      touch -d "2024-01-0$((i % 3 + 1))" "$GUESTS/w$worker-1/private/usr/lib/news"
      vguest -q "w$worker-1" hashify || echo "hashify: $?" >>"$T/failed"
      vguest -q "w$worker-*" delete --yes || echo "delete: $?" >>"$T/failed"
    done) 3>&- &
    eval "pid$worker=$!"
  done
  for worker in 1 2 3; do
    eval "wait \$pid$worker"
  done
  touch "$stop"
  wait "$collector"
  [ ! -e "$T/failed" ] || {
    sort "$T/failed" | uniq -c
    return 1
  }
  check_root
  assert_nothing_left
}

@test "wrong words on the command line" {
  run vstore gc extra
  assert_status 2
  run vstore gc --bad
  assert_status 2
  run vstore collect
  assert_status 2
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vguest-stat: what guests take and share. Running guests: see running.bats.

load ../lib/common

setup () {
  common_setup
  skip_unless_root
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  GUESTS=$VGUEST_ROOT/guests
}

du_bytes () {
  du -s -B1 "$@" | awk '{ sum += $1 } END { print sum }'
}

# Shared and own bytes of each guest are what du says, and saved_bytes what sharing saves.
assert_agrees_with_du () {
  local guest sum=0 each
  run vguest-stat --disk --json
  assert_status 0
  for guest in $(guests); do
    each=$(du_bytes "$GUESTS/$guest")
    [ "$(json ".guests[] | select(.name == \"$guest\") | .shared_bytes + .own_bytes")" = "$each" ]
    sum=$((sum + each))
  done
  # du counts each inode once in one run.
  [ "$(json .saved_bytes)" = $((sum - $(du_bytes "$GUESTS"/*))) ]
  [ "$(json .store.objects)" = "$(find "$VGUEST_ROOT/store" -type f,l,p,b,c | wc -l)" ]
  [ "$(json .store.bytes)" = \
    "$(find "$VGUEST_ROOT/store" ! -type d -printf '%b\n' | awk '{ s += $1 * 512 } END { print s }')" ]
}

member () { # GUEST MEMBER
  vguest-stat --disk --json | jq -r ".guests[] | select(.name == \"$1\") | .$2"
}

# The names of the guests that are there, in one line.
guests () {
  find "$GUESTS" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | paste -sd ' '
}

@test "without guests" {
  run vguest-stat --disk --json
  assert_status 0
  [ "$(json '.guests | length')" = 0 ]
  [ "$(json .saved_bytes)" = 0 ]
  run vguest-stat
  assert_status 0
  run vguest-stat --disk
  assert_status 0
  run vguest-stat nobody
  assert_status 5
}

@test "bytes agree with du" {
  vguest -q 'web[1-3]' build -m clone -- -s small
  assert_agrees_with_du
  local private=$GUESTS/web1/private
  head -c 70000 /dev/urandom >"$private/etc/own"
  ln "$private/etc/own" "$private/etc/own-partner"
  truncate -s 5M "$private/etc/sparse"
  mkdir "$private/usr"
  echo hides >"$private/usr/bin"
  echo log >"$GUESTS/web1/log/run.log"
  head -c 50000 /dev/urandom >"$GUESTS/web2/tree/usr/lib/new"
  assert_agrees_with_du
  vhashify -q --all || true
  assert_agrees_with_du
  vguest -q web2 delete --yes
  assert_agrees_with_du
  vguest -q web1 build -m clone --force -- -s small
  assert_agrees_with_du
}

@test "shared is what another guest, a template or one put aside uses" {
  local big=61440 before
  vguest -q web1 build -m clone -- -s small
  # Three files of 20,000 bytes in 5 blocks each, held by the template.
  [ "$(member web1 shared_bytes)" -ge $big ]
  vtemplate -q delete --yes small
  [ "$(member web1 shared_bytes)" = 0 ]
  before=$(member web1 own_bytes)
  vguest -q web2 build -m clone -- -s web1
  [ "$(member web1 shared_bytes)" -ge $big ]
  [ "$(member web1 own_bytes)" -lt "$before" ]
  vguest -q web2 build -m clone --force -- -s web1
  vguest -q web2 delete --yes
  [ "$(member web1 shared_bytes)" -ge $big ]
  rm -r "$VGUEST_ROOT"/aside/*
  [ "$(member web1 shared_bytes)" = 0 ]
  # What the guest itself links twice is not shared.
  ln "$GUESTS/web1/tree/usr/lib/deep/er/big1" "$GUESTS/web1/tree/usr/lib/twice"
  [ "$(member web1 shared_bytes)" = 0 ]
  assert_agrees_with_du
}

@test "the apparent size is that of what the guest sees" {
  mkdir -p "$T/plain/usr/lib" "$T/plain/etc"
  head -c 1000 /dev/zero >"$T/plain/usr/lib/a"
  head -c 200 /dev/zero >"$T/plain/usr/lib/b"
  ln "$T/plain/usr/lib/a" "$T/plain/usr/lib/a-partner"
  ln -s a "$T/plain/usr/lib/link"
  vtemplate -q import plain "$T/plain"
  vguest -q web build -m clone -- -s plain
  local identity
  identity=$(cat "$GUESTS/web/private/etc/"* | wc -c)
  [ "$(member web apparent_bytes)" = $((1200 + identity)) ]
  [ "$(member web files)" = 7 ]
  # A file of private hides that of the tree, and a whole directory.
  mkdir -p "$GUESTS/web/private/usr/lib"
  head -c 5 /dev/zero >"$GUESTS/web/private/usr/lib/b"
  [ "$(member web apparent_bytes)" = $((1005 + identity)) ]
  [ "$(member web files)" = 7 ]
  rm -r "$GUESTS/web/private/usr"
  head -c 7 /dev/zero >"$GUESTS/web/private/usr"
  [ "$(member web apparent_bytes)" = $((7 + identity)) ]
  [ "$(member web files)" = 4 ]
}

@test "state, template, selection, and a table of 80 columns" {
  vguest -q 'web[1-3]' build -m clone -- -s small
  [ "$(member web1 state)" = stopped ]
  [ "$(member web1 template)" = small ]
  mount -t tmpfs tmpfs "$GUESTS/web1/work"
  [ "$(member web1 state)" = mounted ]
  umount "$GUESTS/web1/work"
  run vguest-stat --json 'web[2-3]'
  [ "$(json '[.guests[].name] | join(" ")')" = "web2 web3" ]
  run vguest-stat --json --exclude 'web[2-3]'
  [ "$(json '[.guests[].name] | join(" ")')" = "web1" ]
  run vguest-stat --disk
  assert_status 0
  assert_contains "$output" "web3"
  assert_contains "$output" "total"
  [ "$(awk '{ if (length ($0) > max) max = length ($0) } END { print max }' <<<"$output")" -le 80 ]
}

@test "without --disk: who runs, and no walk over trees" {
  vguest -q 'web[1-3]' build -m clone -- -s small
  run vguest-stat
  assert_status 0
  [ "${lines[0]%% *}" = NAME ]
  assert_contains "${lines[2]}" "web2 stopped"
  assert_contains "${lines[2]}" "small"
  [ "$(awk '{ if (length ($0) > max) max = length ($0) } END { print max }' <<<"$output")" -le 80 ]
  run vguest-stat --json
  [ "$(json .running)" = 0 ]
  [ "$(json '.guests[1] | [.name, .state, .template, .pid, .memory_bytes, .own_bytes] | @json')" = \
    '["web2","stopped","small",null,null,null]' ]
  run vguest-stat --interval soon
  assert_status 2
  skip_unless_program strace
  strace -f -qq -o "$T/trace" -e trace=getdents64 vguest-stat >/dev/null
  [ "$(wc -l <"$T/trace")" -lt 5 ]
}

@test "readers do not wait, and guests may vanish meanwhile" {
  local i
  vguest -q 'web[1-3]' build -m clone -- -s small
  exec 8<>"$VGUEST_ROOT/lock"
  flock 8
  flock "$GUESTS/web1/lock" timeout 10 vguest-stat --no-wait >/dev/null 8>&-
  flock "$GUESTS/web1/lock" timeout 10 vguest-stat --disk --no-wait >/dev/null 8>&-
  exec 8>&-
  (for i in {1..15}; do
    vguest -q 'x[1-5]' build -m clone -- -s small
    vguest -q 'x*' delete --yes
  done) &
  for i in {1..60}; do
    run vguest-stat --disk --json
    assert_status 0
    [ "$(json '.guests[0].name')" = web1 ]
  done
  wait
}

@test "one stat for an object, none for its uses" {
  skip_unless_program strace
  mkdir "$T/many"
  (cd "$T/many" && for i in {1..500}; do echo "$i" >"file$i"; done)
  vtemplate -q import many "$T/many"
  vguest -q 'm[01-20]' build -m clone -- -s many
  strace -f -qq -o "$T/trace" -e trace=newfstatat,statx,fstat vguest-stat --disk >/dev/null
  [ "$(grep -c '"file' "$T/trace")" = 0 ]
  [ "$(wc -l <"$T/trace")" -lt 1500 ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The reserve of free space, what the worst case takes, and limits of guests.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_root
  skip_unless_program jq
  export VGUEST_CONF=$T/vguest.conf
  min_free 0
  GUESTS=$VGUEST_ROOT/guests
}

min_free () {
  echo "{\"min_free\": \"$1\"}" >"$VGUEST_CONF"
}

make_small_guests () {
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  vguest -q web1,web2 build -m clone -- -s small
}

# small_disk OPTION…: a file system of 64 MiB as the state root's.
small_disk () {
  skip_unless_program mkfs.ext4
  truncate -s 64M "$T/image"
  mkfs.ext4 -q "$@" "$T/image"
  mkdir "$T/disk"
  mount -o loop "$T/image" "$T/disk" 2>/dev/null || skip "needs loop devices"
  export VGUEST_ROOT=$T/disk/root
  GUESTS=$VGUEST_ROOT/guests
}

# refused COMMAND…: status 6, one line that says why.
refused () {
  run "$@"
  assert_status 6
  [ "${#lines[@]}" = 1 ]
  assert_contains "$output" "in reserve"
  assert_contains "$output" "min_free"
}

@test "below the reserve nothing begins that takes space, and all that makes room goes on" {
  skip_unless_runtime
  make_tools_guests web1,web2
  vguest -q web1 exec -- sh -c 'echo one >/etc/one'
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  layers () {
    find "$GUESTS" "$VGUEST_ROOT"/templates/*/[0-9]* ! -name lock -printf '%P %i %T@\n' | sort
  }
  layers >"$T/before"
  min_free 4000T
  refused vguest x build -m clone -- -s small
  refused vguest x build -m rsync -- -s "$T/source"
  refused vtemplate import other "$T/source"
  refused vtemplate update --force small
  refused vguest web1 exec -- true
  run vexec --all -- true
  assert_status 3
  assert_contains "$output" "in reserve"
  layers >"$T/after"
  diff "$T/before" "$T/after"
  assert_nothing_left
  for command in "vguest-stat --disk" "vtemplate list" "vguest web1 history" "vhashify --all" \
    "vguest web1 rollback --yes" "vstore gc" "vguest web1 set notes=x" "vguest web2 delete --yes" \
    "vtemplate delete --yes small"; do
    read -ra words <<<"$command"
    run "${words[@]}"
    [ "$status" = 0 ] || {
      echo "$command: $status: $output"
      return 1
    }
  done
  [ ! -e "$GUESTS/web1/tree/etc/one" ] && [ ! -e "$GUESTS/web1/private/etc/one" ]
  min_free 0
  vguest -q web1 exec -- true
  check_root
}

@test "shares and sizes of a file system that fills" {
  small_disk
  make_small_guests
  min_free 10%
  vguest -q web3 build -m clone -- -s small
  fallocate -l $(($(stat -f -c '%a * %S' "$T/disk") - (5 << 20))) "$T/disk/filler"
  refused vguest web4 build -m clone -- -s small
  assert_contains "$output" "$VGUEST_ROOT has "
  min_free 1M
  vguest -q web4 build -m clone -- -s small
  min_free 20M
  refused vguest web5 build -m clone -- -s small
  assert_contains "$output" " 20 MiB are kept in reserve"
  # The default: 5 % of 64 MiB.
  rm "$VGUEST_CONF"
  vguest -q web5 build -m clone -- -s small
  fallocate -l 3M "$T/disk/filler2"
  refused vguest web6 build -m clone -- -s small
  # What gives room always works.
  vguest -q 'web[1-5]' delete --yes
  rm "$T/disk/filler"
  vguest -q web6 build -m clone -- -s small
  check_root
}

@test "inodes" {
  small_disk -N 2000
  min_free 30%
  make_small_guests
  mkdir "$T/disk/files"
  (cd "$T/disk/files" && seq "$(($(stat -f -c %d "$T/disk") - 400))" | xargs touch)
  refused vguest web3 build -m clone -- -s small
  assert_contains "$output" "inodes free"
  rm -r "$T/disk/files"
  vguest -q web3 build -m clone -- -s small
}

@test "wrong words in min_free" {
  for word in x 5 % 5 -1% 100% 5.5.5% 1Q ''; do
    min_free "$word"
    case $word in 5) continue ;; esac
    run vguest x build -m clone -- -s small
    [ "$status" -ne 6 ]
    run vguest-stat --worst-case
    assert_status 2
    assert_contains "$output" "$VGUEST_CONF"
    assert_contains "$output" min_free
  done
}

# What Python sums up for a guest: blocks of all names of the tree that private does not hide.
worst_case () {
  python3 - "$GUESTS/$1" <<'END'
import os, sys
guest = sys.argv[1]
size = files = 0
for top, dirs, names in os.walk(guest + "/tree"):
    for name in names + [d for d in dirs if os.path.islink(top + "/" + d)]:
        path = top + "/" + name
        if os.path.lexists(guest + "/private" + path[len(guest + "/tree"):]):
            continue
        size += os.lstat(path).st_blocks * 512
        files += 1
print(size, files)
END
}

@test "--worst-case: every shared file copied, against what is free" {
  skip_unless_program python3
  small_disk
  make_small_guests
  mkdir -p "$GUESTS/web2/private/usr/lib/deep/er" "$GUESTS/web2/private/usr/bin"
  echo own >"$GUESTS/web2/private/usr/lib/deep/er/big1"
  echo own >"$GUESTS/web2/private/usr/bin/tool-hardlink"
  run vguest-stat --worst-case --json
  assert_status 0
  for guest in web1 web2; do
    [ "$(json ".guests[] | select(.name == \"$guest\") |
      \"\(.worst_case_bytes) \(.worst_case_files)\"")" = "$(worst_case "$guest")" ]
  done
  [ "$(json '.worst_case.bytes == (.guests | map(.worst_case_bytes) | add)')" = true ]
  [ "$(json .worst_case.free_bytes)" = $(($(stat -f -c '%a * %S' "$T/disk"))) ]
  [ "$(json .worst_case.reserve_bytes)" = 0 ]
  [ "$(json .worst_case.enough)" = true ]
  fallocate -l $(($(stat -f -c '%a * %S' "$T/disk") - (100 << 10))) "$T/disk/filler"
  run vguest-stat --worst-case
  assert_status 0
  assert_contains "$output" "not enough"
  [[ $output =~ web1\ +stopped\ +small ]]
  run vguest-stat --worst-case --disk web2 --json
  [ "$(json '.guests[0] | has("own_bytes") and has("worst_case_bytes")')" = true ]
  [ "$(json '.guests | length')" = 1 ]
  # What a thin guest shows of the template counts as well.
  rm "$T/disk/filler"
  vguest -q thin build -m clone --thin -- -s small
  run vguest-stat --worst-case --json
  [ "$(json '.guests | map(select(.name == "thin" or .name == "web1").worst_case_bytes) |
    .[0] == .[1]')" = true ]
}

@test "--worst-case does not stat the files of trees" {
  skip_unless_program strace
  make_small_guests
  strace -f -qq -o "$T/trace" -e trace=newfstatat vguest-stat --worst-case >/dev/null
  sed -i '/AT_EMPTY_PATH/d' "$T/trace" # fstat
  local objects
  objects=$(find "$VGUEST_ROOT/store" ! -type d | wc -l)
  # Objects once; what is no object, as empty files, in each of two guests.
  [ "$(grep -c newfstatat "$T/trace")" -lt $((objects + 60)) ]
}

@test "a soft limit warns, and stops nothing" {
  local command words
  make_small_guests
  vguest web1,web2 set disk.soft_limit=1M
  [ "$(vguest web1 get disk.soft_limit)" = 1M ]
  run vguest-stat
  refute grep -q soft_limit <<<"$output"
  head -c 1300000 /dev/urandom >"$GUESTS/web1/private/etc/big"
  for command in vguest-stat "vguest-stat --disk" "vguest web1 status"; do
    read -ra words <<<"$command"
    run "${words[@]}"
    assert_contains "$output" "warning: guest web1: its own files take"
    assert_contains "$output" "disk.soft_limit of 1.0 MiB"
    refute grep -q "guest web2: its" <<<"$output"
  done
  run --separate-stderr vguest-stat --json
  [ "$(json '.guests[0].soft_limit_bytes')" = 1048576 ]
  vguest web1 set disk.soft_limit=
  run vguest-stat --json
  assert_status 0
  [ "$(json '.guests[0].soft_limit_bytes')" = null ]
  for value in x -1 5Q; do
    run vguest web1 set "disk.soft_limit=$value"
    assert_status 2
  done
}

@test "a start and a bulk run warn of soft limits as well" {
  skip_unless_runtime
  make_tools_guests web1
  vguest web1 set disk.soft_limit=4K
  run vguest web1 start
  assert_status 0
  assert_contains "$output" "warning: guest web1: its own files take"
  vguest -q web1 stop --timeout 0
  assert_no_guests_left
}

@test "a hard limit is refused where the file system has no project quota" {
  small_disk
  make_small_guests
  run vguest web1 set disk.hard_limit=100M
  assert_status 1
  assert_contains "$output" "guest web1: disk.hard_limit: the file system of $VGUEST_ROOT has no project quota"
  [ "$(vguest web1 get disk.hard_limit)" = "" ]
  # One that was written by hand is not passed over.
  jq '.disk = {"hard_limit": "100M"}' "$GUESTS/web1/config.json" >"$T/config"
  cp "$T/config" "$GUESTS/web1/config.json"
  run vguest web1 start
  assert_status 1
  assert_contains "$output" "project quota"
  vguest web1 set disk.hard_limit=
}

verity () {
  echo "{\"min_free\": \"0\", \"verity\": \"$1\"}" >"$VGUEST_CONF"
}

# Was this kernel made with CONFIG_FS_VERITY?
kernel_has_verity () {
  [ -e /proc/sys/fs/verity ] || grep -q fsverity /proc/keys
}

@test "fs-verity: where there is none auto goes without, and require says so" {
  if kernel_has_verity; then skip "needs a kernel without fs-verity"; fi
  small_disk
  make_small_template "$T/source"
  verity always
  run vtemplate -q import small "$T/source"
  assert_status 2
  assert_contains "$output" '"always" is none of off, auto, require'
  verity require
  run vtemplate -q import small "$T/source"
  assert_status 1
  assert_contains "$output" 'ext4, has no fs-verity here, and "verity" is "require" in vguest.conf'
  assert_contains "$output" 'tune2fs -O verity'
  [ -z "$(find "$VGUEST_ROOT/store" -type f)" ]
  verity auto
  vtemplate -q import small "$T/source"
  vguest -q web1 build -m clone -- -s small
  vstore -q fsck

  verity require
  run vstore fsck
  assert_status 4
  assert_contains "$output" 'objects have no fs-verity, and "verity" is "require"'
  run vstore --json fsck --repair
  assert_status 4
  jq -e '.findings | map(select(.class == "verity" and .error and (.corrected | not))) | length == 1' <<<"$output"
  # What is there can be linked, and goes.
  vguest -q web2 build -m clone -- -s small
  vguest -q web1,web2 delete --yes
  check_root
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Operations on a file system that is full to the last block, to the last inode, and on inodes that
# are full of links: what fails says so, and everything is as before it; operations.bash has them.

bats_require_minimum_version 1.5.0
load ../lib/common
load operations.bash
load judging.bash

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program mkfs.ext4 losetup setfattr setfacl setcap tar
  use_memory
  mkdir "$T/disk"
  VGUEST_ROOT=$T/disk/root
  # The reserve would end each of them before anything happens.
  export VGUEST_CONF=$T/vguest.conf
  echo '{"min_free": "0"}' >"$VGUEST_CONF"
}

teardown () {
  umount "$T/disk" 2>/dev/null || true
  common_teardown
}

# make_disk OPTION…: an empty ext4 on $T/disk, without a reserve for root.
make_disk () {
  truncate -s 64M "$T/image"
  mkfs.ext4 -q -m 0 "$@" "$T/image"
  mount -o loop "$T/image" "$T/disk" || skip "needs to mount ext4"
}

# Takes every block. leave_blocks N: gives N of them back.
fill_blocks () {
  cat /dev/zero >"$T/disk/fill" 2>/dev/null || true
  sync -f "$T/disk"
  cat /dev/zero >>"$T/disk/fill" 2>/dev/null || true
}

leave_blocks () {
  truncate -s -$(($1 * $(stat -f -c %S "$T/disk"))) "$T/disk/fill"
  sync -f "$T/disk"
}

# Takes every inode, as links count for nothing. leave_inodes N: gives N of them back.
fill_inodes () {
  mkdir "$T/disk/inodes"
  (cd "$T/disk/inodes" && seq "$(stat -f -c %d .)" | xargs touch 2>/dev/null) || true
}

leave_inodes () {
  (cd "$T/disk/inodes" && find . -type f | head -n "$1" | xargs -r rm -f)
  sync -f "$T/disk"
}

# The operation in each state of the disk, from full to where it succeeds: $1 makes room for $2 more
# than before. Sets $failures.
until_it_fits () {
  local give=$1 step room=0
  failures=0
  for step in 0 1 1 2 3 5 8 16 32 64 128 256 512 1024; do
    "$give" "$step"
    room=$((room + step))
    run "${COMMAND[@]}"
    point="$operation with $room left"
    if [ "$status" = 0 ]; then
      views >"$T/now"
      [ "$(judge "$T/now")" = after ] || [ "$(judge "$T/now")" = same ]
      break
    fi
    failures=$((failures + 1))
    echo "$point: status $status: $output"
    # The status of a commit is that of its command.
    [ "$status" = 1 ] || [ "$status" = 3 ] || [ "$operation" = commit ]
    # dash calls any write of its own that fails an I/O error.
    [[ $operation = commit && $output = "sh: "*": echo: I/O error"* ]] ||
      assert_contains "$output" "No space left on device"
    refute grep -E 'Sanitizer|runtime error' <<<"$output"
    # All is as before, with what room there is; but for those of several guests that did fit.
    views >"$T/now"
    state=$(judge "$T/now")
    case ${state%%$'\n'*},$status in
      before,* | same,*) ;;
      mixed,3) start_again ;;
      # Beyond its point of no return it says who does the rest.
      mixed,*)
        assert_contains "$output" "the next command"
        start_again
        ;;
      *)
        echo "$state"
        return 1
        ;;
    esac
  done
  [ "$status" = 0 ]
  check_root
}

# try_full GIVE FILL: for each operation of $operations. The disk is what it was between them.
try_full () {
  local give=$1 fill=$2
  for operation in $operations; do
    possible "$operation" || continue
    rm -rf "$VGUEST_ROOT" "$T/source" "$T/start" "$T/disk/fill" "$T/disk/inodes"
    "prepare_$operation"
    set_command "$operation"
    cp -a "$VGUEST_ROOT" "$T/start"
    views >"$T/before"
    "${COMMAND[@]}"
    views >"$T/after"
    start_again
    "${COMMAND[@]}"
    views >"$T/after.2"
    make_masks
    start_again
    sync -f "$T/disk"
    "$fill"
    until_it_fits "$give"
    echo "# $operation: failed $failures times" >&3
  done
}

@test "full to the last block" {
  operations="import clone clone_guest replace commit fold update delete rename"
  make_disk
  try_full leave_blocks fill_blocks
}

@test "full to the last inode" {
  operations="import clone commit fold update delete rename"
  make_disk -N 1200
  try_full leave_inodes fill_inodes
}

# link_full FILE: as many links of it as the file system takes.
link_full () {
  mkdir -p "$T/disk/links"
  python3 - "$1" "$T/disk/links/$2" <<'END'
import os, sys
n = 0
try:
    while True:
        os.link(sys.argv[1], f"{sys.argv[2]}-{n}")
        n += 1
except OSError as error:
    print(n, error)
END
}

@test "inodes that take no more links: clone, unify, fold and import use new ones" {
  local tree
  skip_unless_program python3
  make_disk -N 4000
  prepare_guests
  tree=$VGUEST_ROOT/templates/small/1/tree
  link_full "$tree/usr/lib/lib01.so" one
  link_full "$tree/usr/bin/setuid-tool" two
  link_full "$tree/usr/lib/lib.so" three
  [ "$(stat -c %h "$tree/usr/lib/lib01.so")" = 65000 ]
  views >"$T/before"
  vguest -q new1,new2 build -m clone -- -s small
  vguest -q other2 build -m clone -- -s guest:other
  vtemplate -q import again "$T/small.tar"
  in_guest web1 'cp -p usr/lib/lib01.so usr/lib/lib01.new; mv usr/lib/lib01.new usr/lib/lib01.so'
  vhashify -q --all
  views >"$T/now"
  diff <(grep -v '^guests/web1: usr/lib ' "$T/before") \
    <(grep -v -e '^guests/new' -e '^guests/other2' -e '^templates/again' \
      -e '^guests/web1: usr/lib ' "$T/now")
  # The clones, and the template that was imported again, see what the first ones do.
  diff <(sed -n 's|^templates/small/1: ||p' "$T/now") <(sed -n 's|^templates/again/1: ||p' "$T/now")
  diff <(sed -n 's|^guests/new1: ||p' "$T/now" | grep -v -e new1 -e '^etc') \
    <(sed -n 's|^guests/new2: ||p' "$T/now" | grep -v -e new2 -e '^etc')
  # Clones share the new inode with one another, partners included.
  same_inode "$VGUEST_ROOT"/guests/new[12]/tree/usr/lib/lib01.so
  same_inode "$VGUEST_ROOT"/guests/new[12]/tree/usr/{bin/setuid-tool,lib/setuid-partner}
  rm -r "$T/disk/links"
  check_root
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vhashify --manually: trees that are none of vguest's.

load ../lib/common
load ../lib/guests

setup () {
  common_setup
  [ "$(id -u)" = 0 ] || skip "needs root"
  skip_unless_program python3 setcap jq
  local tree
  for tree in a b; do
    mkdir -p "$T/$tree/usr/bin" "$T/$tree/usr/lib/deep/er" "$T/$tree/etc" "$T/$tree/var/lib/dpkg" \
      "$T/$tree/home" "$T/$tree/usr/local"
    seq 20000 >"$T/$tree/usr/bin/program"
    seq 30000 >"$T/$tree/usr/lib/deep/er/library"
    ln "$T/$tree/usr/lib/deep/er/library" "$T/$tree/usr/lib/library"
    cp "$T/$tree/usr/bin/program" "$T/$tree/usr/bin/setid"
    cp "$T/$tree/usr/bin/program" "$T/$tree/usr/bin/capable"
    for file in etc/config var/lib/dpkg/status home/file usr/local/file; do
      seq 1000 >"$T/$tree/$file"
    done
    : >"$T/$tree/usr/bin/empty"
    chmod 755 "$T/$tree"/usr/bin/*
    chmod 4755 "$T/$tree/usr/bin/setid"
    find "$T/$tree" -depth -exec touch -h -d '2024-01-02 03:04:05.678' {} +
    setcap cap_net_raw+ep "$T/$tree/usr/bin/capable"
  done
}

teardown () {
  [ -z "${writer:-}" ] || kill "$writer" 2>/dev/null || true
  ! mountpoint -q "$T/mnt" || umount "$T/mnt"
  common_teardown
}

is_linked () {
  [ "$T/a/$1" -ef "$T/b/$1" ]
}

listing () {
  (
    cd "$T" || exit
    find "$@" \( -type d -printf '%p %m %U:%G %T@\n' \) -o -printf '%p %y %m %U:%G %s %T@\n' | sort
    find "$@" -type f -exec sha256sum {} + | sort
  )
}

@test "what packages own is linked, and nothing else; what is seen stays the same" {
  local before file blocks
  before=$(listing a b)
  run vhashify --manually --json "$T/a" "$T/b"
  assert_status 0
  # /usr/bin/program, and both names of the library.
  [ "$(jq .shared <<<"$output")" = 3 ]
  blocks=$(($(stat -c %b "$T/a/usr/bin/program") + $(stat -c %b "$T/a/usr/lib/library")))
  [ "$(jq .shared_bytes <<<"$output")" = $((512 * blocks)) ]
  is_linked usr/bin/program
  is_linked usr/lib/library
  [ "$T/a/usr/lib/library" -ef "$T/b/usr/lib/deep/er/library" ]
  for file in usr/bin/setid usr/bin/capable usr/bin/empty etc/config var/lib/dpkg/status home/file \
    usr/local/file; do
    refute is_linked "$file"
  done
  [ "$(listing a b)" = "$before" ]
  [ ! -e "$T/a/.vguest-unify" ]
  # And nothing is left to do.
  run vhashify --manually --json "$T/a" "$T/b"
  [ "$(jq '.shared + .failed' <<<"$output")" = 0 ]
}

@test "a dry run tells the same and changes nothing" {
  local before wanted
  before=$(cd "$T" && find a b -printf '%p %i %T@ %C@\n' | sort)
  run vhashify --manually -n --json "$T/a" "$T/b"
  assert_status 0
  wanted=$(jq -c '[.shared, .shared_bytes]' <<<"$output")
  [ "$(cd "$T" && find a b -printf '%p %i %T@ %C@\n' | sort)" = "$before" ]
  run vhashify --manually --json "$T/a" "$T/b"
  [ "$(jq -c '[.shared, .shared_bytes]' <<<"$output")" = "$wanted" ]
}

@test "files that differ in anything that a link shares are kept apart" {
  local kind
  for kind in mode owner mtime xattr bytes; do
    rm -rf "$T"/{a,b}/usr/bin
    mkdir "$T"/{a,b}/usr/bin
    seq 5000 | tee "$T/a/usr/bin/x" >"$T/b/usr/bin/x"
    touch -d 2024-01-01 "$T"/{a,b}/usr/bin/x
    case $kind in
      mode) chmod 700 "$T/b/usr/bin/x" ;;
      owner) chown 7 "$T/b/usr/bin/x" ;;
      mtime) touch -d '2024-01-01 00:00:00.000000001' "$T/b/usr/bin/x" ;;
      xattr) setfattr -n user.x -v y "$T/b/usr/bin/x" ;;
      bytes)
        seq 5000 | sed 's/^4999$/4998/' >"$T/b/usr/bin/x"
        touch -d 2024-01-01 "$T/b/usr/bin/x"
        ;;
    esac
    vhashify -q --manually "$T/a" "$T/b"
    refute is_linked usr/bin/x
  done
}

@test "what somebody has open for writing is left alone" {
  python3 -c 'import os, sys, time
file = open(sys.argv[1], "r+b")
print("open", flush=True)
time.sleep(100)' "$T/b/usr/bin/program" >"$T/says" 3>&- &
  writer=$!
  wait_for grep -q open "$T/says"
  run vhashify --manually --json "$T/a" "$T/b"
  assert_status 0
  [ "$(jq .busy <<<"$output")" = 1 ]
  refute is_linked usr/bin/program
  is_linked usr/lib/library
  kill "$writer"
  wait "$writer" || true
  vhashify -q --manually "$T/a" "$T/b"
  is_linked usr/bin/program
}

@test "excluded paths; paths that are no business of it" {
  printf '# what it is for\n/usr/lib/deep\nprogram # a name\n' >"$T/excludes"
  run vhashify --manually --json --exclude-from "$T/excludes" "$T/a" "$T/b"
  assert_status 0
  [ "$(jq .shared <<<"$output")" = 1 ]
  refute is_linked usr/bin/program
  run vhashify --manually --exclude-from - "$T/a" <<<"a//b"
  assert_status 2
  assert_contains "$output" "line 1"
  mkdir -p "$VGUEST_ROOT"
  vguest-stat >/dev/null
  vhashify -q --all || true
  run vhashify --manually "$VGUEST_ROOT/guests"
  assert_status 2
  assert_contains "$output" "managed by vguest"
  run vhashify --manually "$T/missing"
  assert_status 1
  assert_contains "$output" "$T/missing: No such file"
  run vhashify --manually
  assert_status 2
  run vhashify --reflink --all
  assert_status 2
}

@test "a directory within another one, and one that comes twice" {
  run vhashify --manually --json "$T/a" "$T/a" "$T/b" "$T/b/usr"
  assert_status 0
  # Below /usr as a root of its own nothing is a package's.
  [ "$(jq '.failed + .changed' <<<"$output")" = 0 ]
  [ "$(jq .files <<<"$output")" = "$(find "$T/a" "$T/b" -type f -size +0 | wc -l)" ]
}

@test "what a killed run left: a spare link goes, and what may be the only name stays" {
  mkdir "$T/a/.vguest-unify"
  ln "$T/a/usr/bin/program" "$T/a/.vguest-unify/spare"
  vhashify -q --manually "$T/a" "$T/b"
  [ ! -e "$T/a/.vguest-unify" ]
  mkdir "$T/a/.vguest-unify"
  echo precious >"$T/a/.vguest-unify/only"
  run vhashify --manually "$T/a" "$T/b"
  assert_status 1
  assert_contains "$output" "$T/a/.vguest-unify/only"
  [ "$(cat "$T/a/.vguest-unify/only")" = precious ]
}

# Writers that replace files by rename, and others that write in place, all the time.
@test "no write is lost beside it" {
  python3 - "$T" 3>&- >"$T/says" <<'END' &
import os, sys, time
top = sys.argv[1]
count = 0
end = time.time() + 6
os.utime(top)
while time.time() < end:
    for tree in ("a", "b"):
        name = f"{top}/{tree}/usr/bin/program"
        data = str(count).encode() * 4000
        if count % 2:
            with open(name + ".new", "wb") as file:
                file.write(data)
            os.utime(name + ".new", (1, 1))
            os.rename(name + ".new", name)
        else:
            with open(name, "r+b") as file:
                file.truncate()
                file.write(data)
            os.utime(name, (1, 1))
        with open(name, "rb") as file:
            if file.read() != data:
                print("lost", tree, count, flush=True)
    count += 1
print("done", count, flush=True)
END
  writer=$!
  while kill -0 "$writer" 2>/dev/null; do
    vhashify -q --manually "$T/a" "$T/b"
  done
  wait "$writer"
  grep -q '^done' "$T/says"
  refute grep lost "$T/says"
}

@test "on XFS and btrfs everything that is equal shares its blocks" {
  local fs
  skip_unless_program mkfs.xfs mkfs.btrfs
  for fs in xfs btrfs; do
    truncate -s 400M "$T/image"
    "mkfs.$fs" -q "$T/image" >/dev/null
    mkdir -p "$T/mnt"
    mount -o loop "$T/image" "$T/mnt"
    cp -a --reflink=never "$T/a" "$T/b" "$T/mnt/"
    run vhashify --manually --reflink --json "$T/mnt/a" "$T/mnt/b"
    assert_status 0
    # The empty file is none; the library's two names are one file.
    [ "$(jq .shared <<<"$output")" -ge 8 ]
    refute test "$T/mnt/a/usr/bin/program" -ef "$T/mnt/b/usr/bin/program"
    filefrag -v "$T/mnt/b/home/file" | grep -q shared
    diff <(listing a) <(T=$T/mnt listing a)
    diff <(listing b) <(T=$T/mnt listing b)
    umount "$T/mnt"
    rm "$T/image"
  done
  run vhashify --manually --reflink "$T/a" "$T/b"
  [ "$(stat -f -c %T "$T")" = xfs ] || [ "$(stat -f -c %T "$T")" = btrfs ] || {
    assert_status 1
    assert_contains "$output" "cannot share blocks"
  }
}

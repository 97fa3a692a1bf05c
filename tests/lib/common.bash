# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154 # bats sets status and output
# What the functional tests share. Each file starts with `load ../lib/common`; it then has setup
# and teardown, and may override them and call common_setup and common_teardown itself.
#
# Each test gets an empty directory $T and a state root of its own, $VGUEST_ROOT; the programs are
# found through PATH. Everything is unmounted and removed behind the test, also when it failed.

TESTS_DIR=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
SOURCE_DIR=${TESTS_DIR%/*}

# The built programs: from run-test, or for a bats started by hand from $VGUEST_BUILD_DIR or the
# current directory.
if [ -z "${VGUEST_BIN_DIR:-}" ]; then
  VGUEST_BIN_DIR=$BATS_RUN_TMPDIR/bin
  build_dir=$(cd "${VGUEST_BUILD_DIR:-.}" && pwd)
  if [ ! -x "$build_dir/vguest" ]; then
    echo "no vguest in $build_dir: set VGUEST_BUILD_DIR to the build directory" >&2
    exit 1
  fi
  mkdir -p "$VGUEST_BIN_DIR"
  for program in vguest vtemplate vhashify vstore vguest-stat vapt-get vdnf vyum vrpm vzypper \
    vpacman vapk vpkg vexec vguest-info \
    vguest-autostart; do
    ln -sfn "$build_dir/vguest" "$VGUEST_BIN_DIR/$program"
  done
  CHECK_ROOT=$build_dir/tests/lib/check-root
  export CHECK_ROOT
fi
PATH=$VGUEST_BIN_DIR:$PATH:/usr/sbin:/sbin
export VGUEST_BIN_DIR PATH SOURCE_DIR TESTS_DIR
export LC_ALL=C.UTF-8

# The policies of this source tree, not of an installed vguest.
if [ -e "$SOURCE_DIR/etc/unify.policy" ]; then
  export VGUEST_POLICY=${VGUEST_POLICY:-$SOURCE_DIR/etc/unify.policy}
fi
if [ -e "$SOURCE_DIR/etc/clone.policy" ]; then
  export VGUEST_CLONE_POLICY=${VGUEST_CLONE_POLICY:-$SOURCE_DIR/etc/clone.policy}
fi

setup () {
  common_setup
}

teardown () {
  common_teardown
}

common_setup () {
  T=$(mktemp -d "${TMPDIR:-/tmp}/vguest-test.XXXXXX")
  export T
  export VGUEST_ROOT=$T/root
}

common_teardown () {
  [ -n "${T:-}" ] || return 0
  local ids id
  end_guests
  # Of each root that the test made.
  ids=$(find "$T" -maxdepth 4 -name root.json -exec sed -n 's/.*"id": *"\([0-9a-f]\{8,\}\)".*/\1/p' {} +)
  unmount_below "$T"
  for id in $ids; do
    if [ -d "/run/vguest/@$id" ]; then
      unmount_below "/run/vguest/@$id"
      rm -rf --one-file-system "/run/vguest/@$id"
    fi
  done
  rm -rf --one-file-system "$T"
}

# Ends what still runs of this root's guests.
end_guests () {
  local id
  compgen -G "$VGUEST_ROOT/guests/*/running" >/dev/null || return 0
  timeout 60 vguest -q --all stop --timeout 0 >/dev/null 2>&1 3>&- && return 0
  id=$(sed -n 's/.*"id": *"\([0-9a-f]\{8\}\).*/\1/p' "$VGUEST_ROOT/root.json")
  # shellcheck disable=SC2038 # numbers
  find /sys/fs/cgroup -path "*/vguest/*-$id*/cgroup.procs" -exec cat {} + 2>/dev/null |
    xargs -r kill -9 2>/dev/null || true
  sleep 0.5
  find /sys/fs/cgroup -path "*/vguest/*-$id*" -type d -depth -exec rmdir {} + 2>/dev/null || true
}

# Unmounts all that is mounted on or below a directory, or has it as a layer, deepest first.
unmount_below () {
  local dir=$1 point
  while read -r point; do
    umount -l "$(printf '%b' "$point")" || true
  done < <(awk -v dir="$dir" '
    $5 == dir || index($5, dir "/") == 1 || index($0, "=" dir "/") { print $5 }' \
    /proc/self/mountinfo | tac)
}

# skip_unless_…: skip the test with the reason.

skip_unless_root () {
  [ "$(id -u)" = 0 ] || skip "needs root"
}

skip_unless_program () {
  local program
  for program; do
    type -P "$program" >/dev/null || skip "needs $program"
  done
}

# Mounts an overlay on the file system of the tests.
skip_unless_overlay () {
  skip_unless_root
  mkdir -p "$T/probe/lower" "$T/probe/upper" "$T/probe/work" "$T/probe/merged"
  unshare --mount sh -c 'mount -t overlay overlay \
    -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work,metacopy=on,redirect_dir=on" \
    "$1/merged"' sh "$T/probe" 2>/dev/null ||
    skip "needs overlayfs on the file system of ${TMPDIR:-/tmp}"
  rm -rf "$T/probe"
}

# An OCI runtime that is there.
skip_unless_runtime () {
  skip_unless_overlay
  command -v crun >/dev/null || command -v runc >/dev/null || skip "needs crun or runc"
}

# mmdebstrap reaching its default mirror; asked once per run.
skip_unless_mirror () {
  local answer=$BATS_RUN_TMPDIR/mirror
  skip_unless_root
  skip_unless_program mmdebstrap
  if [ ! -e "$answer" ]; then
    if timeout 120 mmdebstrap --quiet --simulate --variant=essential bookworm /dev/null \
      >/dev/null 2>&1; then
      echo yes >"$answer"
    else
      echo no >"$answer"
    fi
  fi
  [ "$(cat "$answer")" = yes ] || skip "needs a Debian mirror"
}

# make_small_template DIR: a directory tree with a few dozen files of all kinds, as a source for
# `vtemplate import`. The same calls give the same contents; times have nanoseconds.
make_small_template () {
  local dir=$1 i
  mkdir -p "$dir"/{bin,dev,etc/ssh,home/user,root,run,srv,tmp,usr/bin,usr/lib/deep/er,usr/share/doc}
  mkdir -p "$dir"/var/{cache/apt/archives,lib/app,log,tmp}
  chmod 1777 "$dir/tmp" "$dir/var/tmp"
  chmod 0700 "$dir/root"
  for i in {01..12}; do
    echo "library $i" >"$dir/usr/lib/lib$i.so"
    echo "document $i" >"$dir/usr/share/doc/doc$i"
  done
  for i in 1 2 3; do
    echo "the same text three times" >"$dir/usr/share/doc/same$i"
    head -c 20000 /dev/zero | tr '\0' "$i" >"$dir/usr/lib/deep/er/big$i"
  done
  touch -d '2024-01-02 03:04:05.123456789' "$dir"/usr/share/doc/same*
  printf '#!/bin/sh\necho tool\n' >"$dir/usr/bin/tool"
  cp "$dir/usr/bin/tool" "$dir/bin/tool"
  chmod 0755 "$dir/usr/bin/tool" "$dir/bin/tool"
  cp "$dir/usr/bin/tool" "$dir/usr/bin/setuid-tool"
  chmod 4755 "$dir/usr/bin/setuid-tool"
  ln "$dir/usr/bin/tool" "$dir/usr/bin/tool-hardlink"
  ln -s tool "$dir/usr/bin/tool-symlink"
  ln -s /usr/lib/lib01.so "$dir/usr/lib/lib.so"
  ln -s nowhere "$dir/usr/lib/dangling"
  : >"$dir/usr/share/doc/empty"
  : >"$dir/usr/share/doc/empty2"
  echo "a name with a space" >"$dir/usr/share/doc/with space"
  echo "a name with a newline" >"$dir/usr/share/doc/with
newline"
  truncate -s 1M "$dir/var/lib/app/sparse"
  printf 'end' | dd of="$dir/var/lib/app/sparse" bs=1 seek=524288 conv=notrunc status=none
  echo template >"$dir/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 template\n' >"$dir/etc/hosts"
  echo 0123456789abcdef0123456789abcdef >"$dir/etc/machine-id"
  echo "secret key" >"$dir/etc/ssh/ssh_host_ed25519_key"
  echo "public key" >"$dir/etc/ssh/ssh_host_ed25519_key.pub"
  chmod 0600 "$dir/etc/ssh/ssh_host_ed25519_key"
  echo "a log" >"$dir/var/log/messages"
  echo "of a user" >"$dir/home/user/file"
  mkfifo "$dir/run/fifo"
  if [ "$(id -u)" = 0 ]; then
    mknod "$dir/dev/null" c 1 3
    mknod "$dir/dev/loop" b 7 0
    chown -R 1000:1000 "$dir/home/user"
    chown 101:103 "$dir/var/lib/app"
    if command -v setfattr >/dev/null; then
      setfattr -n user.note -v "an attribute" "$dir/usr/share/doc/doc01"
      setfattr -n user.note -v "of a directory" "$dir/usr/share/doc"
    fi
    if command -v setfacl >/dev/null; then
      setfacl -m u:1234:r "$dir/usr/share/doc/doc02"
      setfacl -d -m g:1234:rx "$dir/srv"
    fi
    if command -v setcap >/dev/null; then
      cp "$dir/usr/bin/tool" "$dir/usr/bin/cap-tool"
      setcap cap_net_raw+ep "$dir/usr/bin/cap-tool"
    fi
  fi
  touch -d '2023-05-06 07:08:09.987654321' "$dir/usr/lib/deep" "$dir/usr/lib/lib01.so"
}

# make_debian_archive: a Debian 12 from the release suite alone, so that there is something to
# upgrade; its apt sources have updates and security. DEBIAN_ARCHIVE is the tar file. Built once for
# all tests of a run, from the definition that is shipped. Skips without a mirror.
make_debian_archive () {
  local cache=${VGUEST_TEST_CACHE:-$BATS_RUN_TMPDIR/cache}
  skip_unless_mirror
  mkdir -p "$cache"
  (
    flock 9
    [ -e "$cache/debian-12.tar" ] || {
      rm -rf "$cache/root"
      # The mirror may fail once. No test's descriptors (bats has some open) for the bootstrap.
      for _ in 1 2 3; do
        vtemplate -q --root "$cache/root" build debian-12-min \
          -d "$SOURCE_DIR/templates/debian-12-min.json" 3>&- 4>&- 9>&- && break
        sleep 5
      done
      tar -C "$cache"/root/templates/debian-12-min/1/tree --numeric-owner --xattrs \
        --xattrs-include='*' --acls -cf "$cache/debian-12.tar.new" . &&
        mv "$cache/debian-12.tar.new" "$cache/debian-12.tar"
      rm -rf "$cache/root"
    } >&2
  ) 9>"$cache/lock" || return 1
  DEBIAN_ARCHIVE=$cache/debian-12.tar
}

# make_debian_template NAME: imports it.
make_debian_template () {
  make_debian_archive || return 1
  vtemplate -q import "$1" "$DEBIAN_ARCHIVE"
}

# in_guest NAME SCRIPT: changes the guest in place, as if it ran: an overlay with private as upper.
# SCRIPT is run in its root.
in_guest () {
  local dir=$VGUEST_ROOT/guests/$1
  mkdir -p "$T/merged"
  # shellcheck disable=SC2016
  unshare --mount bash -ec '
    mount -t overlay overlay -o "lowerdir=$1/tree,upperdir=$1/private,workdir=$1/work" \
      -o index=off,nfs_export=off,metacopy=on,redirect_dir=on,xino=auto "$2"
    cd "$2"
    eval "$3"
    cd /
    umount "$2"' bash "$dir" "$T/merged" "$2"
}

# strace: LeakSanitizer cannot work below a tracer.
strace () {
  ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 command strace "$@"
}

# json FILTER: jq on stdin or on the output of the last `run`.
json () {
  jq -r "$1" <<<"$output"
}

# tree_list DIR: one line for each path with type, mode, owner, size, mtime, link target, xattrs
# and contents, and the lists of hard-link partners: two trees are the same exactly when their
# lists are.
tree_list () {
  python3 "$TESTS_DIR/lib/tree-list" "$1"
}

# store_sums: checksums of all objects' contents and metadata.
store_sums () {
  (cd "$VGUEST_ROOT/store" && find . -type f -printf '%p %m %U %G %s %T@\n' | sort &&
    find . -type f -print0 | sort -z | xargs -0 -r sha256sum)
}

assert_status () {
  if [ "$status" -ne "$1" ]; then
    echo "exit status $status, expected $1; output:"
    echo "$output"
    return 1
  fi
}

assert_contains () {
  case $1 in
    *"$2"*) ;;
    *)
      echo "expected \"$2\" in:"
      echo "$1"
      return 1
      ;;
  esac
}

# By the policy that holds, a tree of 3,000 files that are all shared costs a pass far fewer calls.
assert_no_call_per_file () {
  local i
  skip_unless_program strace
  mkdir -p "$T/source/usr/many"
  for i in {1..3000}; do echo "$i" >"$T/source/usr/many/$i"; done
  vtemplate -q import many "$T/source"
  vguest -q big build -m clone -- -s many
  run strace -f -c -U name,calls -o "$T/calls" vhashify big
  assert_status 0
  awk '$1 ~ /stat|open|read|link|rename/ { n += $2 } END { print n; exit n > 1500 }' "$T/calls"
}

# refute COMMAND…: must fail. In bats a bare "! command" fails no test.
refute () {
  if "$@"; then
    echo "expected to fail: $*"
    return 1
  fi
}

# same_inode FILE…: do all names have one inode?
same_inode () {
  [ "$(stat -c %d:%i "$@" | sort -u | wc -l)" = 1 ]
}

# check_root: the checker of state roots finds nothing wrong (tests/lib/check_root.c).
check_root () {
  "$CHECK_ROOT" "$VGUEST_ROOT"
}

# assert_nothing_left: no mount, process or file of a test stays behind a command.
assert_nothing_left () {
  if grep -F " $VGUEST_ROOT" /proc/self/mountinfo; then
    echo "a mount was left"
    return 1
  fi
  if [ -n "$(ls -A "$VGUEST_ROOT/staging" 2>/dev/null)" ]; then
    echo "left in staging:"
    ls -A "$VGUEST_ROOT/staging"
    return 1
  fi
}

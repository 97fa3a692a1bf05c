#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vhashify: private layers are folded, and what guests have in common becomes one inode.

load ../lib/common

setup () {
  common_setup
  skip_unless_overlay
  make_small_template "$T/source"
  vtemplate -q import base "$T/source"
  vguest -q web1,web2,web3 build -m clone -- -s base
  G=$VGUEST_ROOT/guests
}

# view GUEST: what the guest sees, as text.
view () {
  "$CHECK_ROOT" --view "$G/$1"
}

# run_in GUEST COMMAND: runs it in the merged root, mounted the way a running guest's is.
run_in () {
  # shellcheck disable=SC2016
  unshare --mount sh -euc '
    mount -t overlay overlay "$2" -o "lowerdir=$1/tree,upperdir=$1/private,workdir=$1/work,index=off,nfs_export=off,metacopy=on,redirect_dir=on,xino=auto"
    cd "$2"
    eval "$3"' sh "$G/$1" "$(mkdir -p "$T/mnt" && echo "$T/mnt")" "$2"
}

@test "an unchanged guest has nothing to do" {
  run vhashify --json --all
  assert_status 0
  [ "$(json .total.files)" = 0 ]
  [ "$(json .total.bytes_read)" = 0 ]
  [ "$(json '.guests | length')" = 3 ]
  check_root
}

@test "an unchanged tree costs no stat and no open per file" {
  assert_no_call_per_file
}

@test "what two guests wrote alike becomes one inode; what one wrote stays private" {
  for guest in web1 web2; do
    mkdir -p "$G/$guest/private/opt/app"
    printf 'the same program' >"$G/$guest/private/opt/app/program"
    touch -d '2024-05-05 05:05:05.5' "$G/$guest/private/opt/app/program"
  done
  echo "only here" >"$G/web1/private/opt/app/unique"
  before=$(view web1)
  run vhashify --json --all
  assert_status 0
  [ "$(json .total.moved)" = 2 ]
  [ "$(json .total.linked)" = 1 ]
  [ "$(json '.total.linked_bytes > 0')" = true ]
  same_inode "$G/web1/tree/opt/app/program" "$G/web2/tree/opt/app/program"
  [ -e "$G/web1/private/opt/app/unique" ]
  [ ! -e "$G/web1/tree/opt/app/unique" ]
  [ ! -e "$G/web1/private/opt/app/program" ]
  diff <(echo "$before") <(view web1)
  check_root
}

@test "files that differ in anything but contents stay apart" {
  for guest in web1 web2; do
    mkdir -p "$G/$guest/private/opt"
    for what in mode owner time attribute; do
      echo "equal text" >"$G/$guest/private/opt/$what"
      touch -d '2024-05-05 05:05:05.5' "$G/$guest/private/opt/$what"
    done
  done
  chmod 0640 "$G/web2/private/opt/mode"
  chown 7:7 "$G/web2/private/opt/owner"
  touch -d '2024-05-05 05:05:05.500000001' "$G/web2/private/opt/time"
  setfattr -n user.x -v y "$G/web2/private/opt/attribute"
  vhashify -q --all
  for what in mode owner time attribute; do
    for guest in web1 web2; do [ -e "$G/$guest/tree/opt/$what" ] || [ -e "$G/$guest/private/opt/$what" ]; done
    ! same_inode "$G"/web[12]/*/opt/$what
  done
  check_root
}

@test "any-mtime paths are shared whatever their time" {
  for guest in web1 web2; do
    mkdir -p "$G/$guest/private/var/lib/dpkg"
    echo "a database" >"$G/$guest/private/var/lib/dpkg/status"
  done
  touch -d '2001-01-01' "$G/web2/private/var/lib/dpkg/status"
  vhashify -q --all
  same_inode "$G/web1/tree/var/lib/dpkg/status" "$G/web2/tree/var/lib/dpkg/status"
  check_root
}

@test "equal files of one guest stay different inodes, and pair up between guests" {
  for guest in web1 web2; do
    mkdir -p "$G/$guest/private/usr/share/pair"
    for i in 1 2 3; do
      echo "the same" >"$G/$guest/private/usr/share/pair/$i"
      touch -d '2024-01-01' "$G/$guest/private/usr/share/pair/$i"
    done
    ln "$G/$guest/private/usr/share/pair/3" "$G/$guest/private/usr/share/pair/3-link"
  done
  vhashify -q --all
  refute same_inode "$G/web1/tree/usr/share/pair/1" "$G/web1/tree/usr/share/pair/2"
  same_inode "$G/web1/tree/usr/share/pair/3" "$G/web1/tree/usr/share/pair/3-link"
  same_inode "$G/web2/tree/usr/share/pair/3" "$G/web2/tree/usr/share/pair/3-link"
  [ "$(stat -c %i "$G"/web[12]/tree/usr/share/pair/[123] | sort -u | wc -l)" = 3 ]
  check_root
}

@test "drop rules remove caches" {
  mkdir -p "$G/web1/private/var/cache/apt/archives"
  echo cache >"$G/web1/private/var/cache/apt/pkgcache.bin"
  echo deb >"$G/web1/private/var/cache/apt/archives/a_1_all.deb"
  run vhashify --json web1
  assert_status 0
  [ "$(json .total.dropped)" = 2 ]
  [ ! -e "$G/web1/private/var/cache/apt/pkgcache.bin" ]
  [ ! -e "$G/web1/tree/var/cache/apt/archives/a_1_all.deb" ]
}

@test "-n tells and changes nothing" {
  rm "$G/web1/tree/usr/lib/lib02.so"
  cp -a "$T/source/usr/lib/lib02.so" "$G/web1/tree/usr/lib/lib02.so"
  before=$(cd "$VGUEST_ROOT" && find store guests/*/tree guests/*/private -printf '%p %i %n %C@\n' | sort)
  run vhashify -n --json web1
  assert_status 0
  [ "$(json .dry_run)" = true ]
  [ "$(json .total.linked)" = 1 ]
  after=$(cd "$VGUEST_ROOT" && find store guests/*/tree guests/*/private -printf '%p %i %n %C@\n' | sort)
  diff <(echo "$before") <(echo "$after")
  run vguest web1 hashify
  assert_status 0
  assert_contains "$output" "web1: 1 files new"
  same_inode "$G/web1/tree/usr/lib/lib02.so" "$G/web2/tree/usr/lib/lib02.so"
}

@test "a restored tree without hard links is shared again" {
  cp -a "$G/web1/tree" "$G/web1/copy"
  rm -rf "$G/web1/tree"
  mv "$G/web1/copy" "$G/web1/tree"
  before=$(view web1)
  run vhashify --json web1
  assert_status 0
  [ "$(json .total.failed)" = 0 ]
  same_inode "$G/web1/tree/usr/lib/deep/er/big1" "$G/web2/tree/usr/lib/deep/er/big1"
  diff <(echo "$before") <(view web1)
  check_root
}

@test "a first pass reads each directory twice, with groups over several of them, and keeps their times" {
  skip_unless_program strace
  for guest in web1 web2; do
    rm -rf "$G/$guest/tree/usr/many"
    for ((i = 0; i < 200; i++)); do
      mkdir -p "$G/$guest/tree/usr/many/$i"
      echo "$i" >"$G/$guest/tree/usr/many/$i/file"
    done
    # A group that begins, goes on and ends in different directories, and one of a single directory.
    ln "$G/$guest/tree/usr/many/0/file" "$G/$guest/tree/usr/many/100/name"
    ln "$G/$guest/tree/usr/many/0/file" "$G/$guest/tree/usr/many/199/name"
    ln "$G/$guest/tree/usr/many/7/file" "$G/$guest/tree/usr/many/7/name"
    find "$G/$guest/tree/usr/many" -type f -exec touch -d @1700000000 {} +
    find "$G/$guest/tree/usr" -depth -type d -exec touch -d @1600000000 {} +
  done
  vhashify -q web1
  before=$(view web2)
  strace -f -o "$T/calls" -e trace=openat2 vhashify -q web2
  opened=$(grep -c 'usr/many/[0-9]*"' "$T/calls")
  # One walk looks, and ends at the first file that is news; one notes; one works.
  [ "$opened" -le 450 ]
  diff <(echo "$before") <(view web2)
  for name in 0/file 100/name 199/name 7/file 7/name 50/file; do
    same_inode "$G/web1/tree/usr/many/$name" "$G/web2/tree/usr/many/$name"
  done
  same_inode "$G/web2/tree/usr/many/0/file" "$G/web2/tree/usr/many/199/name"
  [ "$(find "$G/web2/tree/usr/many" -type d ! -newermt @1600000001 | wc -l)" = 201 ]
  check_root
}

@test "a damaged object gets no new link, and the exit status says so" {
  object=$(find "$VGUEST_ROOT/store" -type f -samefile "$G/web1/tree/usr/lib/deep/er/big2")
  mtime=$(stat -c %.9Y "$object")
  printf X | dd of="$object" bs=1 conv=notrunc status=none
  touch -d "@$mtime" "$object"
  rm "$G/web1/tree/usr/lib/deep/er/big2"
  cp -a "$T/source/usr/lib/deep/er/big2" "$G/web1/tree/usr/lib/deep/er/big2"
  run vhashify web1
  assert_status 1
  assert_contains "$output" "was damaged, and is now store/quarantine/"
  refute same_inode "$G/web1/tree/usr/lib/deep/er/big2" "$G/web2/tree/usr/lib/deep/er/big2"
  same_inode "$G/web1/tree/usr/lib/deep/er/big2" "$object"
  cmp "$T/source/usr/lib/deep/er/big2" "$G/web1/tree/usr/lib/deep/er/big2"
}

@test "a file changed in one guest never changes in another or in the store" {
  before=$(store_sums)
  web2=$(view web2)
  run_in web1 '
    echo more >>usr/share/doc/doc01
    printf X | dd of=usr/lib/deep/er/big1 bs=1 seek=5 conv=notrunc status=none
    : >usr/share/doc/doc03
    chmod 0600 usr/bin/setuid-tool
    chown 5:5 usr/bin/tool
    setfattr -n user.new -v v usr/share/doc/doc04
    touch usr/share/doc/doc05
    rm usr/share/doc/doc06
    echo new >usr/share/doc/tmp && mv usr/share/doc/tmp usr/share/doc/doc07
    ln usr/share/doc/doc08 usr/share/doc/link
    mv usr/share/doc/doc09 usr/share/doc/moved
    mv usr/lib/deep usr/lib/moved-deep
    mkdir usr/lib/deep && echo other >usr/lib/deep/file
    rm -r home && ln -s elsewhere home
    rm usr/lib/lib.so && mkdir usr/lib/lib.so'
  vhashify -q web1
  # Objects may come, none may change or go.
  [ -z "$(comm -23 <(echo "$before" | sort) <(store_sums | sort))" ]
  diff <(echo "$web2") <(view web2)
  [ "$(cat "$G/web1/tree/usr/share/doc/doc07")" = new ]
  [ ! -e "$G/web1/tree/usr/share/doc/doc06" ]
  [ -d "$G/web1/tree/usr/lib/moved-deep/er" ]
  [ "$(ls "$G/web1/tree/usr/lib/deep")" = file ]
  [ -L "$G/web1/tree/home" ] || [ -L "$G/web1/private/home" ]
  [ "$(stat -c %a "$G/web2/tree/usr/bin/setuid-tool")" = 4755 ]
  same_inode "$G/web1/tree/usr/share/doc/doc08" "$G/web1/tree/usr/share/doc/link"
  check_root
}

@test "unknown guests, empty selections and bad policies are told plainly" {
  run vhashify web9
  assert_status 5
  assert_contains "$output" 'did you mean "web1"?'
  run vhashify
  assert_status 2
  run vhashify --all --exclude 'web*'
  assert_status 5
  assert_contains "$output" "--exclude leaves none of 3"
  echo "nonsense /x" >"$T/policy"
  VGUEST_POLICY=$T/policy run vhashify web1
  assert_status 2
  assert_contains "$output" "policy, line 1"
}

@test "a signal ends a pass with status 130, and the next one does the rest" {
  skip_unless_program strace
  mkdir -p "$G/web1/private/usr/share/new"
  echo new >"$G/web1/private/usr/share/new/file"
  run strace -f -qq -o "$T/calls" -e trace=linkat -e inject=linkat:signal=TERM:when=1 vhashify web1
  assert_status 130
  assert_contains "$output" "interrupted by signal 15"
  vhashify -q web1
  [ "$(cat "$G/web1/tree/usr/share/new/file")" = new ]
  check_root
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# kill -9 while a transaction is committed, and while guests are folded and unified: the next
# command finishes or undoes it. Import, build and delete have such tests in their own files;
# tests/model/model_crash stops at each single call.

bats_require_minimum_version 1.5.0
load ../lib/common

SHOTS=${VGUEST_KILL_SHOTS:-20}

now_ms () {
  local us=${EPOCHREALTIME/./}
  echo "${us%???}"
}

# sleep_ms N: milliseconds.
sleep_ms () {
  sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"
}

# What the guest sees, as a manifest.
view () {
  "$CHECK_ROOT" --view "$VGUEST_ROOT/guests/$1"
}

# A round of changes in guest $1, with number $2: what an upgrade does and more, the same in each
# guest. Every kind of upper entry comes from it.
change_guest () {
  in_guest "$1" "n=$2"'
    for i in {1..40}; do
      echo "version $n of $i" >usr/lib/new
      touch -d @$n usr/lib/new
      mv -f usr/lib/new usr/lib/lib$i.so
    done
    for i in {1..10}; do
      echo "$RANDOM $RANDOM" >home/user/own-$i
      echo "in both" >etc/conf-$n-$i
      touch -d @$n etc/conf-$n-$i
    done
    mv usr/share/moved-* usr/share/moved-$n
    rm usr/share/moved-$n/one
    echo again >usr/share/moved-$n/one
    mv usr/lib/tree-* usr/lib/tree-$n
    chmod $((n % 2 ? 600 : 644)) usr/lib/tree-$n/a/big1
    ln -f usr/lib/lib1.so usr/lib/link-$n
    ln -f usr/lib/tree-$n/a/big2 usr/lib/tree-$n/link-$n
    rm -rf usr/share/again
    mkdir usr/share/again
    echo $n >usr/share/again/file
    rm -rf srv/turns
    if [ $((n % 2)) = 1 ]; then mkdir srv/turns; echo x >srv/turns/x; else echo x >srv/turns; fi
    setfattr -n user.round -v $n usr/lib/tree-$n 2>/dev/null || true
    touch -d @$n usr usr/lib usr/share etc srv'
}

make_source () {
  make_small_template "$T/source"
  mkdir -p "$T"/source/usr/share/{moved-0/deep,again} "$T"/source/usr/lib/tree-0/a
  echo one >"$T/source/usr/share/moved-0/one"
  echo two >"$T/source/usr/share/moved-0/deep/two"
  cp -a "$T"/source/usr/lib/deep/er/big* "$T/source/usr/lib/tree-0/a/"
}

@test "kill -9 while guests are folded and unified: what they see does not change" {
  local shot start took=400 guest before sums
  skip_unless_overlay
  make_source
  vtemplate -q import small "$T/source"
  vguest -q web1,web2,web3 build -m clone -- -s small
  for ((shot = 1; shot <= SHOTS; shot++)); do
    for guest in web1 web2 web3; do
      change_guest "$guest" "$shot"
      view "$guest" >"$T/$guest.before"
    done
    sums=$(store_sums)
    # The first one is not disturbed, to learn how long it takes.
    if [ "$shot" = 1 ]; then
      start=$(now_ms)
      vhashify -q --all
      took=$(($(now_ms) - start + 1))
    else
      # shellcheck disable=SC2016
      bash -c 'vhashify -q --all & sleep "$1"; kill -9 $!; wait' bash \
        "$(printf '0.%03d' $((RANDOM % (took < 999 ? took : 999))))" 2>/dev/null || true
      vhashify -q --all
    fi
    for guest in web1 web2 web3; do
      view "$guest" >"$T/$guest.after"
      diff "$T/$guest.before" "$T/$guest.after"
    done
    check_root
    assert_nothing_left
    # No object went or changed.
    before=$(comm -23 <(sort <<<"$sums") <(store_sums | sort))
    [ -z "$before" ] || { echo "objects changed: $before"; return 1; }
  done
  # It was for something: one inode of three.
  same_inode "$VGUEST_ROOT"/guests/web[123]/tree/usr/lib/lib7.so
}

# Shell and tools of the host, for a command in the guest.
add_tools () {
  local dir=$1 tool program file
  mkdir -p "$dir"/{proc,sys}
  for tool in sh mv ln rm touch mkdir chmod; do
    program=$(type -P "$tool") || skip "needs $tool"
    cp -L "$program" "$dir/bin/$tool"
    while read -r file; do
      mkdir -p "$dir${file%/*}"
      [ -e "$dir$file" ] || cp -L "$file" "$dir$file"
    done < <(ldd "$program" | grep -o '/[^ ]*')
  done
}

# The transaction number $1: everything below /usr/data says so afterwards.
# shellcheck disable=SC2016
transaction='
  n=$1
  for i in 1 2 3 4 5 6 7 8; do
    for k in 1 2 3 4 5 6 7 8; do
      echo "$n" >usr/data/new
      touch -d @$n usr/data/new
      mv -f usr/data/new usr/data/file-$i-$k
    done
  done
  ln -f usr/data/file-1-1 usr/data/partner
  mv usr/data/dir-* usr/data/dir-$n
  chmod $((600 + n % 2 * 44)) usr/data/dir-$n/big1
  rm -rf usr/data/again
  mkdir usr/data/again
  echo "$n" >usr/data/again/file
  echo "$n" >home/data
  touch -d @$n usr/data/dir-$n usr/data/again/file usr/data/again home/data usr/data usr
  echo changed'

# The number that the guest's state has, from its view; fails when it has several.
number_of () {
  local numbers
  numbers=$(sed -n -e 's|^usr/data/dir-\([0-9]*\) d .*|\1|p' \
    -e 's|^usr/data/file-.* mtime=\([0-9]*\)\..*|\1|p' \
    -e 's|^usr/data/partner .* mtime=\([0-9]*\)\..*|\1|p' \
    -e 's|^home/data .* mtime=\([0-9]*\)\..*|\1|p' \
    -e 's|^usr/data/again .* mtime=\([0-9]*\)\..*|\1|p' "$1" | sort -u)
  [ "$(wc -l <<<"$numbers")" = 1 ] || { echo "a mixture of states: $numbers" >&2; return 1; }
  echo "$numbers"
}

# What a transaction does not touch; the time of the directory that mv and rm change is set last.
rest_of () {
  grep -v -e '^usr/data' -e '^usr ' -e '^home/data ' -e '^home ' "$1"
}

not_a_process_left () {
  local _
  for _ in {1..60}; do
    grep -lF "$VGUEST_ROOT" /proc/[0-9]*/mountinfo >/dev/null 2>&1 || return 0
    sleep 0.05
  done
  echo "processes with mounts of the guest are left:"
  grep -lF "$VGUEST_ROOT" /proc/[0-9]*/mountinfo
  return 1
}

# shoot COMMAND…: runs it, waits for its line "changed", and kills it -9 up to $took ms later.
shoot () {
  local pid line
  rm -f "$T/pipe"
  mkfifo "$T/pipe"
  "$@" >"$T/pipe" 2>/dev/null 3>&- &
  pid=$!
  exec 8<"$T/pipe"
  read -r line <&8 || true
  [ "$line" = changed ]
  sleep_ms $((RANDOM % (took + 1)))
  kill -9 "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  exec 8<&-
}

@test "kill -9 while a transaction is committed: the guest is in the old state or the new one" {
  local shot start took=1 old=1 number committed=0
  skip_unless_runtime
  make_source
  add_tools "$T/source"
  mkdir -p "$T/source/usr/data/dir-0"
  cp -a "$T"/source/usr/lib/deep/er/big* "$T/source/usr/data/dir-0/"
  vtemplate -q import small "$T/source"
  vguest -q web1,other build -m clone -- -s small
  view other >"$T/other"
  vguest -q web1 exec -- sh -c "cd /; $transaction" sh 1
  view web1 >"$T/first"
  [ "$(number_of "$T/first")" = 1 ]
  for ((shot = 2; shot <= SHOTS + 1; shot++)); do
    if [ "$shot" = 2 ]; then
      # Not disturbed: how long does the commit take, from the last word of the command on?
      start=$(vguest -q web1 exec -- sh -c "cd /; $transaction" sh "$shot" |
        { read -r _; now_ms; cat >/dev/null; })
      took=$(($(now_ms) - start + 1))
    else
      shoot vguest -q web1 exec -- sh -c "cd /; $transaction" sh "$shot"
      not_a_process_left
      # Any next command.
      vhashify -q web1
    fi
    view web1 >"$T/now"
    number=$(number_of "$T/now")
    [ "$number" = "$old" ] || [ "$number" = "$shot" ]
    [ "$number" = "$old" ] || committed=$((committed + 1))
    old=$number
    diff <(rest_of "$T/first") <(rest_of "$T/now")
    grep -q '^usr/data/partner .* partner=usr/data/file-1-1$' "$T/now"
    check_root
    assert_nothing_left
  done
  view other | diff "$T/other" -
  echo "# $committed of $SHOTS were committed" >&3
}

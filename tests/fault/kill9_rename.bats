#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# kill -9 while a guest is renamed: it has one of the names, and is whole.

bats_require_minimum_version 1.5.0
load ../lib/common

SHOTS=${VGUEST_KILL_SHOTS:-20}

now_us () {
  echo "${EPOCHREALTIME/./}"
}

# What is in a stopped guest's file.
content () {
  local dir=$VGUEST_ROOT/guests/$1
  if [ -e "$dir/private/$2" ]; then cat "$dir/private/$2"; else cat "$dir/tree/$2"; fi
}

# As if all of the guest's /etc had been unified: the rename has to make the directory.
to_tree () {
  local dir=$VGUEST_ROOT/guests/$1
  if [ -e "$dir/private/etc" ]; then
    mv -f "$dir"/private/etc/* "$dir/tree/etc/"
    rmdir "$dir/private/etc"
  fi
}

# The host name that the guest's own files and its settings tell, one word when they agree.
told () {
  local dir=$VGUEST_ROOT/guests/$1
  {
    content "$1" etc/hostname
    content "$1" etc/hosts | awk '$1 == "127.0.1.1" { print $2 }'
    jq -r .hostname "$dir/config.json"
    jq -r '.depends[0]' "$VGUEST_ROOT/guests/dep/config.json"
  } | sort -u
}

# All but what changes with the name; the root's time is that of an etc made in private.
rest_of () {
  "$CHECK_ROOT" --view "$VGUEST_ROOT/guests/$1" | grep -v -e '^\. ' -e '^etc ' -e '^etc/host'
}

# Sets up web1, on which dep depends, and another guest.
make_guests () {
  skip_unless_overlay
  skip_unless_program jq
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  vguest -q web1,dep,other build -m clone -- -s small
  vguest -q dep set depends=web1
  rest_of web1 >"$T/rest"
  "$CHECK_ROOT" --view "$VGUEST_ROOT/guests/other" >"$T/other"
}

# look OLD NEW: the guest has one of these names; the next command finishes what is to be done.
# Sets $now.
look () {
  now=$(cd "$VGUEST_ROOT/guests" && echo web*)
  [ "$now" = "$1" ] || [ "$now" = "$2" ]
  if [ -e "$VGUEST_ROOT/guests/$now/rename.json" ]; then between=$((between + 1)); fi
  vguest -q "$now" set pids=$((100 + RANDOM % 100))
  [ "$(told "$now")" = "$now" ]
  [ ! -e "$VGUEST_ROOT/guests/$now/rename.json" ]
  [ -z "$(ls -A "$VGUEST_ROOT/guests/$now/txn")" ]
  rest_of "$now" | diff "$T/rest" -
  check_root
  assert_nothing_left
}

@test "kill -9 while a guest is renamed: one name, and all of it" {
  local shot start took old=web0 now between=0 renamed=0
  make_guests
  start=$(now_us)
  vguest -q web1 rename web0
  took=$(($(now_us) - start))
  for ((shot = 1; shot <= SHOTS; shot++)); do
    # Most of the time goes by before the first step.
    # shellcheck disable=SC2016
    bash -c 'vguest -q "$1" rename "$2" & sleep "$3"; kill -9 $!; wait' bash "$old" "web$shot" \
      "$(printf '0.%06d' $((took / 3 + RANDOM * 32 % took)))" 2>/dev/null || true
    look "$old" "web$shot"
    [ "$now" = "$old" ] || renamed=$((renamed + 1))
    old=$now
  done
  "$CHECK_ROOT" --view "$VGUEST_ROOT/guests/other" | diff "$T/other" -
  echo "# $renamed of $SHOTS were renamed, $between killed in between" >&3
}

@test "kill -9 at each call of a rename that changes something" {
  local call n shot=1 old=web1 now between=0 etc
  skip_unless_program strace
  strace -qq -o "$T/trace" -e inject=getpid:retval=1 true || skip "strace cannot inject here"
  make_guests
  etc=$(stat -c '%a %u %g' "$VGUEST_ROOT/guests/web1/private/etc")
  for call in renameat,rename renameat2 fsync unlinkat mkdirat utimensat fchmod; do
    for ((n = 1;; n++)); do
      shot=$((shot + 1))
      to_tree "$old"
      run strace -qq -o "$T/trace" -e trace="$call" -e inject="$call:signal=KILL:when=$n" \
        vguest -q "$old" rename "web$shot"
      [ "$status" != 0 ] || break
      assert_status 137
      look "$old" "web$shot"
      old=$now
      [ ! -e "$VGUEST_ROOT/guests/$now/private/etc" ] ||
        [ "$(stat -c '%a %u %g' "$VGUEST_ROOT/guests/$now/private/etc")" = "$etc" ]
    done
    look "$old" "web$shot"
    [ "$now" = "web$shot" ]
    old=$now
  done
  [ "$between" -gt 5 ]
  "$CHECK_ROOT" --view "$VGUEST_ROOT/guests/other" | diff "$T/other" -
  echo "# $((shot - 1)) calls, $between killed in between" >&3
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Thin guests: vguest NAMES build -m clone --thin, and vguest NAMES thicken.

load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq
  [ -e "$BATS_FILE_TMPDIR/tools" ] || make_tools_template "$BATS_FILE_TMPDIR/tools"
  vtemplate -q import tools "$BATS_FILE_TMPDIR/tools"
  GUESTS=$VGUEST_ROOT/guests
  BASE=$VGUEST_ROOT/templates/tools/1/tree
}

# thin NAMES [SOURCE [OPTION…]]
thin () {
  local names=$1 source=${2:-tools}
  shift
  [ $# = 0 ] || shift
  vguest -q "$names" build -m clone --thin "$@" -- -s "$source"
}

# What a guest sees, but for the times, and the contents of the files that tell its name.
seen () {
  view "$1" | sed -e 's/ mtime=[^ ]*//' -e '/^etc\/host/s/ size.*//'
}

# same_view NAME NAME
same_view () {
  diff <(seen "$1") <(seen "$2")
}

# The template is as it was imported.
base_is_untouched () {
  [ -n "$listed" ]
  diff <(echo "$listed") <(tree_list "$BASE")
}

# Changes of every kind to what comes from the template, with what overlays are bad at.
# shellcheck disable=SC2016
changes='
  touch /usr/lib/new
  echo more >>/usr/share/doc/doc03
  : >/usr/share/doc/doc04
  chmod 0600 /usr/share/doc/doc05
  chown 5:6 /usr/share/doc/doc06
  rm /usr/share/doc/doc07
  rm /usr/share/doc/doc08 && mkdir /usr/share/doc/doc08 && echo x >/usr/share/doc/doc08/in
  mv /usr/share/doc/doc09 /usr/lib/moved
  ln /usr/share/doc/doc10 /usr/share/doc/doc10-link
  ln /usr/bin/tool /usr/lib/tool-too
  mv /usr/lib/deep /usr/lib/deeper
  mkdir /usr/lib/deep && echo fresh >/usr/lib/deep/file
  mv /home/user /home/other
  rm -r /var/lib/app && echo "no directory" >/var/lib/app
  rm -r /srv && ln -s home /srv
  chmod 0711 /var/log
  chown 7:8 /opt 2>/dev/null || mkdir /opt
  rm -r /usr/lib/deeper/er && mkdir /usr/lib/deeper/er
  rm /usr/lib/dangling /usr/bin/tool-hardlink
  echo cached >/var/cache/apt/one'

@test "a thin clone has nothing of its own but its identity, and shows what a full one shows" {
  thin web1
  vguest -q web2 build -m clone -- -s tools
  same_view web1 web2
  [ "$(readlink "$GUESTS/web1/base")" = ../../templates/tools/1/tree ]
  [ "$(find "$GUESTS/web1/tree" -type f | wc -l)" = 0 ]
  [ "$(cat "$GUESTS/web1/private/etc/hostname")" = web1 ]
  for gone in etc/hostname etc/machine-id etc/ssh/ssh_host_ed25519_key; do
    [ "$(stat -c '%F %t %T' "$GUESTS/web1/tree/$gone")" = "character special file 0 0" ]
  done
  run vguest web1 exec -- cat /usr/share/doc/doc01 /etc/hostname
  assert_status 0
  [ "$output" = $'document 01\nweb1' ]
  run vguest web1 exec -- ls /etc/ssh
  [ "$output" = "" ]
  run vguest --json web3,web4 build -m clone --thin -- -s tools
  assert_status 0
  [ "$(json '[.guests[] | .ok, .thin] | all')" = true ]
  [ "$(vguest-info --json web3 | jq -c '[.thin, .template, .generation]')" = '[true,"tools",1]' ]
  [ "$(vguest-info --json web2 | jq .thin)" = false ]
  vguest-stat --json --disk web1,web2 >"$T/stat"
  [ "$(jq -c '[.guests[].thin]' "$T/stat")" = '[true,false]' ]
  [ "$(jq '.guests[0] | .apparent_bytes, .files' "$T/stat")" = \
    "$(jq '.guests[1] | .apparent_bytes, .files' "$T/stat")" ]
  jq -e '.guests[0].own_bytes < .guests[1].own_bytes and .guests[0].shared_bytes > 0' "$T/stat"
  [ "$(vtemplate list --json | jq -c '.templates[0].thin_guests')" = '["web1","web3","web4"]' ]
  check_root
  assert_nothing_left
}

@test "what is done to a thin guest shows as in a full one, folded and not, and can be undone" {
  listed=$(tree_list "$BASE")
  thin web1
  vguest -q web2 build -m clone -- -s tools
  for guest in web1 web2; do
    vguest -q "$guest" set keep_transactions=5
    view "$guest" >"$T/$guest.before"
    vguest -q "$guest" exec -- sh -euc "$changes"
  done
  same_view web1 web2
  check_root
  # What was renamed is linked, and what was removed is hidden.
  same_inode "$BASE/usr/lib/lib01.so" "$GUESTS/web2/tree/usr/lib/lib01.so"
  [ ! -e "$GUESTS/web1/tree/usr/lib/lib01.so" ]
  [ -c "$GUESTS/web1/tree/usr/share/doc/doc07" ]
  # Once more, on top of that, and by a pass of unify.
  for guest in web1 web2; do
    vguest -q "$guest" exec -- sh -euc '
      rm -r /usr/lib/deep && mv /usr/lib/deeper /usr/lib/deep
      rm /var/lib/app && mkdir /var/lib/app && echo again >/var/lib/app/file
      mv /usr/share/doc /usr/share/papers && mkdir /usr/share/doc && rm /usr/share/papers/doc11
      rm /srv && mkdir /srv
      echo a >/usr/share/doc/doc01'
  done
  same_view web1 web2
  vhashify -q --all
  same_view web1 web2
  check_root
  run vguest web1 rollback --yes
  assert_status 0
  vguest -q web2 rollback --yes
  same_view web1 web2
  check_root
  vguest -q web1 rollback --yes 1
  view web1 | diff "$T/web1.before" -
  check_root
  base_is_untouched
  assert_nothing_left
}

@test "a thin guest runs, and what it wrote is folded when it stops" {
  listed=$(tree_list "$BASE")
  thin web1
  vguest -q web2 build -m clone -- -s tools
  for guest in web1 web2; do
    run_plain "$guest" "$changes
      exec sleep 1000"
    vguest -q "$guest" start
    wait_for test -e "$GUESTS/$guest/private/var/cache/apt/one"
    run vguest "$guest" exec -- cat /usr/share/doc/doc02
    [ "$output" = "document 02" ]
    run vguest "$guest" thicken
    [ "$guest" = web2 ] || assert_status 1
    [ "$guest" = web2 ] || assert_contains "$output" "is running: stop it first"
    vguest -q "$guest" stop
  done
  same_view web1 web2
  check_root
  assert_no_guests_left
  base_is_untouched
}

@test "thin and full clones of a changed thin guest, and the full guest it becomes" {
  listed=$(tree_list "$BASE")
  thin web1
  vguest -q web1 exec -- sh -euc "$changes"
  thin web2 web1
  vguest -q web3 build -m clone -- -s web1
  [ "$(readlink "$GUESTS/web2/base")" = ../../templates/tools/1/tree ]
  [ ! -e "$GUESTS/web3/base" ]
  same_view web1 web2
  same_view web1 web3
  run vguest web2 thicken
  assert_status 0
  [ ! -e "$GUESTS/web2/base" ]
  [ "$(find "$GUESTS/web2/tree" -type c ! -path '*/dev/*' | wc -l)" = 0 ]
  same_view web1 web2
  run vguest web2 thicken
  assert_status 4
  assert_contains "$output" "there was no thin guest"
  # It is like any other, and takes nothing from the template but links.
  vguest -q web2 exec -- rm -r /usr/share/doc
  vguest -q web2 rollback --yes
  same_view web1 web2
  # A template of a thin guest is whole.
  vtemplate -q build froze -d <(echo '{"source": {"type": "guest", "name": "web1"}}') ||
    vtemplate -q import froze guest:web1
  vguest -q web4 build -m clone -- -s froze
  diff <(seen web1 | grep -v '^home\|^etc') <(seen web4 | grep -v '^home\|^etc')
  check_root
  base_is_untouched
  assert_nothing_left
}

@test "a generation stays as long as thin guests lie over it" {
  thin web1,web2
  vguest -q web1 exec -- rm /usr/share/doc/doc01
  view web1 >"$T/web1"
  run vtemplate --json delete --yes tools
  assert_status 0
  [ "$(json '.thin_guests | join(" ")')" = "web1 web2" ]
  [ -d "$BASE" ]
  run vtemplate list
  [ -z "$output" ]
  run vguest web3 build -m clone -- -s tools
  assert_status 5
  run vtemplate import tools "$BATS_FILE_TMPDIR/tools"
  assert_status 1
  assert_contains "$output" "thin guests lie over what is left of it"
  vtemplate gc
  view web1 | diff "$T/web1" -
  vguest -q web1 exec -- cat /usr/share/doc/doc02
  thin web3 web1
  vguest -q web1 thicken
  vguest -q web2 delete --yes
  [ -d "$BASE" ]
  vguest -q web3 delete --yes
  [ ! -e "$VGUEST_ROOT/templates/tools" ]
  view web1 | diff "$T/web1" -
  vtemplate -q import tools "$BATS_FILE_TMPDIR/tools"
  # Also one that was put aside, and an older generation.
  thin web2
  touch "$BATS_FILE_TMPDIR/tools/usr/newer"
  thin web2 tools --force
  vguest -q web2 delete --yes
  vtemplate -q delete --yes tools
  [ -d "$BASE" ]
  check_root
  assert_nothing_left
}

@test "delete frees what only a thin guest had, and a guest without its base says so" {
  thin web1,web2
  vguest -q web1 exec -- sh -c 'echo own >/usr/lib/own'
  before=$(find "$VGUEST_ROOT/store" -type f | wc -l)
  vguest -q web1 delete --yes
  [ "$(find "$VGUEST_ROOT/store" -type f | wc -l)" = $((before - 1)) ]
  check_root
  mv "$VGUEST_ROOT/templates/tools" "$T/away"
  run vguest web2 exec -- true
  assert_status 1
  assert_contains "$output" "guest web2"
  assert_contains "$output" "the guest is thin, and its base ../../templates/tools/1/tree cannot be opened"
  vguest -q web2 delete --yes
  [ ! -e "$GUESTS/web2" ]
}

@test "what cannot be thin is refused" {
  vguest -q web1 build -m clone -- -s tools
  run vguest web2 build -m clone --thin -- -s web1
  assert_status 2
  assert_contains "$output" "guest:web1 is no template and no thin guest"
  run vguest web2 build -m skeleton --thin
  assert_status 2
  echo doc07 >"$T/exclude"
  run vguest web2 build -m clone --thin -- -s tools -X "$T/exclude"
  assert_status 2
  assert_contains "$output" 'the pattern "doc07" is for any depth'
  printf '/usr/share/doc/doc0[1-3]\n/usr/lib/*/er\n/usr/lib/lib01.so\n/usr/lib/lib*\n' >"$T/exclude"
  vguest -q web2 build -m clone --thin -- -s tools -X "$T/exclude"
  vguest -q web3 build -m clone -- -s tools -X "$T/exclude"
  same_view web2 web3
  diff <(view web2 | grep -v '^etc/[hm]') <(view web3 | grep -v '^etc/[hm]')
  check_root
  assert_nothing_left
}

@test "kill -9 while a thin guest becomes a full one" {
  thin web1
  vguest -q web1 exec -- sh -euc "$changes"
  view web1 >"$T/web1"
  local shot whole=0 start took
  start=${EPOCHREALTIME/./}
  thin probe web1
  vguest -q probe thicken
  took=$((${EPOCHREALTIME/./} - start))
  for ((shot = 0; shot < ${VGUEST_KILL_SHOTS:-8}; shot++)); do
    thin guest web1
    vguest -q guest thicken &
    sleep "$(printf '0.%06d' $((took * RANDOM / 32768)))"
    kill -9 $! 2>/dev/null || true
    wait $! || true
    vguest -q guest set pids=$((100 + shot))
    if [ ! -e "$GUESTS/guest/base" ]; then whole=$((whole + 1)); fi
    diff <(seen web1) <(seen guest)
    check_root
    vguest -q guest delete --yes
  done
  echo "$whole of $shot were full"
  view web1 | diff "$T/web1" -
  assert_nothing_left
}

@test "making one does not depend on the template: it neither reads nor links" {
  skip_unless_program strace
  mkdir -p "$T/many/etc"
  (cd "$T/many" && for ((i = 0; i < 30; i++)); do mkdir "d$i"; done && touch d{0..29}/f{0..99})
  vtemplate -q import many "$T/many"
  strace -f -c -U name,calls -e trace=getdents64,linkat,mkdirat -o "$T/many.calls" \
    vguest -q web1 build -m clone --thin -- -s many
  strace -f -c -U name,calls -e trace=getdents64,linkat,mkdirat -o "$T/tools.calls" \
    vguest -q web2 build -m clone --thin -- -s tools
  calls () { awk '$1 ~ /^(getdents64|linkat|mkdirat)$/ { sum += $2 } END { print sum }' "$1"; }
  [ "$(calls "$T/many.calls")" -lt 120 ]
  [ "$(calls "$T/tools.calls")" -lt 120 ]
}

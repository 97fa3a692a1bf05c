#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# unify.policy: rules by path, size and owner, of which the first that matches decides, and what
# vhashify --explain says of them.

load ../lib/common

setup () {
  common_setup
  skip_unless_overlay
  make_small_template "$T/source"
  vtemplate -q import base "$T/source"
  vguest -q web1,web2 build -m clone -- -s base
  G=$VGUEST_ROOT/guests
  export VGUEST_POLICY=$T/policy
}

# write_file PATH TEXT: the same file in both guests, but for its mtime.
write_file () {
  for guest in web1 web2; do
    mkdir -p "$G/$guest/private${1%/*}"
    printf '%s' "$2" >"$G/$guest/private$1"
  done
  touch -d '2024-01-01 01:01:01.1' "$G/web1/private$1"
  touch -d "${3:-2024-02-02 02:02:02.2}" "$G/web2/private$1"
}

same_time='2024-01-01 01:01:01.1'

shared () {
  [ -e "$G/web1/tree$1" ] && [ -e "$G/web2/tree$1" ] &&
    [ "$(stat -c %i "$G/web1/tree$1")" = "$(stat -c %i "$G/web2/tree$1")" ]
}

private () {
  [ -e "$G/web1/private$1" ] && [ -e "$G/web2/private$1" ] &&
    [ ! -e "$G/web1/tree$1" ] && [ ! -e "$G/web2/tree$1" ]
}

@test "the first rule that matches decides: by path, size and owner" {
  cat >"$VGUEST_POLICY" <<'END'
private /srv
exclude owner=77
include size<100 /srv/**/*.txt
include /srv/a/*
exclude /opt/**/no
END
  write_file /srv/b/c/small.txt small "$same_time"
  write_file /srv/b/c/large.txt "$(printf '%0100d' 0)" "$same_time"
  write_file /srv/b/c/other small "$same_time"
  write_file /srv/a/deep/other deep "$same_time"
  write_file /opt/x/y/no/file text "$same_time"
  write_file /opt/x/y/yes/file text "$same_time"
  write_file /opt/owned owned "$same_time"
  chown 77 "$G"/web?/private/opt/owned
  touch -d "$same_time" "$G"/web?/private/opt/owned
  vhashify -q --all
  shared /srv/b/c/small.txt
  private /srv/b/c/large.txt
  private /srv/b/c/other
  shared /srv/a/deep/other
  private /opt/x/y/no/file
  shared /opt/x/y/yes/file
  private /opt/owned
  check_root
}

@test "what was generated in two guests is shared; its source keeps its time" {
  VGUEST_POLICY=$SOURCE_DIR/etc/unify.policy
  write_file /usr/lib/python3/__pycache__/x.cpython-311.pyc "byte code"
  write_file /usr/lib/python3/x.py "source"
  write_file /usr/lib/x/gconv/gconv-modules.cache "modules"
  write_file /usr/share/icons/i/icon-theme.cache "icons"
  write_file /etc/ssl/certs/ca-certificates.crt "bundle"
  write_file /var/lib/dpkg/info/x.list "/usr"
  vhashify -q --all
  shared /usr/lib/python3/__pycache__/x.cpython-311.pyc
  shared /usr/lib/x/gconv/gconv-modules.cache
  shared /etc/ssl/certs/ca-certificates.crt
  shared /var/lib/dpkg/info/x.list
  for file in /usr/lib/python3/x.py /usr/share/icons/i/icon-theme.cache; do
    [ -e "$G/web1/tree$file" ]
    refute shared "$file"
    [ "$(stat -c %Y "$G/web1/tree$file")" != "$(stat -c %Y "$G/web2/tree$file")" ]
  done
  check_root
}

@test "rules by size and owner cost no stat where nothing is new" {
  {
    printf '%s\n' 'exclude size>1G' 'exclude owner>=1000' 'relax-mtime group=7 /usr/**/x'
    cat "$SOURCE_DIR/etc/unify.policy"
  } >"$VGUEST_POLICY"
  assert_no_call_per_file
}

@test "--explain tells rule, file and line, and what follows" {
  printf '%s\n' '# none' 'eager /usr' 'exclude size>=1K /usr/**/big*' 'any-mtime made' >"$VGUEST_POLICY"
  printf '%s\n' 'include /srv' 'private /usr/lib/lib01.so' >"$G/web2/unify.policy"
  run vhashify --explain /usr/lib/deep/er/big1
  assert_status 0
  [ "${lines[0]}" = "/usr/lib/deep/er/big1" ]
  [[ ${lines[1]} = *"shared, also before"* ]]
  [ "${lines[2]}" = "    $VGUEST_POLICY:2: eager /usr" ]
  [[ ${lines[4]} = *"no rule: this is the default"* ]]

  run vhashify web1 --explain /usr/lib/deep/er/big1 --explain /usr/lib --explain /not/made
  assert_status 0
  [ "${lines[0]}" = "web1: /usr/lib/deep/er/big1: in the shared layer" ]
  [[ ${lines[1]} = *"private: stays"* ]]
  [ "${lines[2]}" = "    $VGUEST_POLICY:3: exclude size>=1K /usr/**/big*" ]
  [[ $output = *"web1: /not/made: not there"*"the mtime may differ"*":4: any-mtime made"* ]]

  run vhashify --json 'web*' --explain /usr/lib/lib01.so --explain /etc/hostname
  assert_status 0
  [ "$(json '.paths | length')" = 4 ]
  [ "$(json '.paths[0] | [.guest, .layer, .result, .mtime, .rule.line] | tojson')" = '["web1","tree","eager","exact",2]' ]
  [ "$(json '.paths[2] | [.guest, .result, .rule.file, .rule.text] | tojson')" = \
    '["web2","private","the guest'\''s unify.policy","private /usr/lib/lib01.so"]' ]
  [ "$(json '.paths[3] | [.layer, .result, .rule] | tojson')" = '["private","shared",null]' ]

  run vguest web1 hashify --explain /etc
  assert_status 0
  run vhashify --explain etc
  assert_status 2
  [[ $output = *'not "etc"'* ]]
}

@test "a mistake in a policy is told with its file and line" {
  printf '%s\n' 'eager /usr' 'exclude size>x /srv' >"$VGUEST_POLICY"
  run vhashify --all
  assert_status 2
  [[ $output = *"$VGUEST_POLICY, line 2: \"size\" wants a number"* ]]
}

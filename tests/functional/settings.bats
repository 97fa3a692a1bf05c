#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# vguest set and get.

load ../lib/common

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program jq
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  vguest -q 'web[1-3]' build -m clone -- -s small
}

config () {
  jq -c "$2" "$VGUEST_ROOT/guests/$1/config.json"
}

@test "settings are set, told and unset" {
  run vguest web1 set memory=512M cpus=1.5 labels.role=web depends=db,mail
  assert_status 0
  [ -z "$output" ]
  [ "$(config web1 '[.memory, .cpus, .labels, .depends]')" = \
    '["512M",1.5,{"role":"web"},["db","mail"]]' ]
  run vguest web1 get memory
  [ "$output" = 512M ]
  run vguest web1 get depends labels.role
  [ "$output" = $'depends=db,mail\nlabels.role=web' ]
  run vguest web1 get
  assert_contains "$output" $'\nmemory=512M\n'
  assert_contains "$output" $'\nstop_timeout=30  # default\n'
  assert_contains "$output" "hostname=web1"
  run vguest web1 set memory= depends-=db labels-=role
  assert_status 0
  [ "$(config web1 '[.memory, .depends, .labels]')" = '[null,["mail"],null]' ]
  run vguest web1 get --json
  [ "$(json '.guests[0].values.cpus')" = 1.5 ]
  [ "$(json '.guests[0].set | index("cpus") != null')" = true ]
  [ "$(json '.guests[0].config.depends[0]')" = mail ]
}

@test "nothing is written when one value of one guest is wrong" {
  sum=$(cat "$VGUEST_ROOT"/guests/*/config.json | sha256sum)
  run vguest 'web[1-3]' set pids=100 memory=12Q
  assert_status 2
  [ "$output" = 'vguest: guest web1: memory: "12Q" is not a size: bytes, or a number with K, M, G or T, is expected' ]
  run vguest 'web[1-3]' set pids=100 depends=web2
  assert_status 2
  assert_contains "$output" "guest web2: config.json: depends: the guest cannot depend on itself"
  run vguest web1 set memroy=1G
  assert_status 2
  assert_contains "$output" 'unknown key "memroy"; did you mean "memory"?'
  run vguest web1 set
  assert_status 2
  run vguest web1 set swap=1G
  assert_status 2
  assert_contains "$output" "swap: it needs a memory limit"
  run vguest web1 get memroy
  assert_status 2
  run vguest web9 set pids=100
  assert_status 5
  [ "$(cat "$VGUEST_ROOT"/guests/*/config.json | sha256sum)" = "$sum" ]
}

@test "a clone has its source's settings, but for what only one guest can have" {
  vguest -q web1 set network.cni=lan network.interface=lan0 network.mac=02:00:00:00:00:01 \
    network.addresses=10.0.0.2/24 network.ports=8080:80 depends=db autostart=true memory=1G
  vguest -q web4,web5 build -m clone -- -s guest:web1
  for guest in web4 web5; do
    [ "$(config $guest '[.network, .depends, .autostart, .memory, .hostname]')" = \
      "[{\"cni\":\"lan\",\"interface\":\"lan0\"},[\"db\"],true,\"1G\",\"$guest\"]" ]
  done
  [ "$(config web1 .network.mac)" = '"02:00:00:00:00:01"' ]
  vguest -q web2 set network=none
  vguest -q web6 build -m clone -- -s guest:web2
  [ "$(config web6 .network)" = '"none"' ]
}

@test "several guests at once; get tells which" {
  vguest --all set labels.tier=front
  run vguest 'web[1-2]' get labels.tier
  [ "$output" = $'web1: front\nweb2: front' ]
}

@test "a file written by hand has comments, which set keeps beside" {
  file=$VGUEST_ROOT/guests/web1/config.json
  echo '{ "format": 1, /* why */ "notes": "http://x", "pids": 100 }' >"$file"
  run vguest web1 set pids=100
  assert_status 0
  grep -q why "$file"
  run vguest web1 set pids=200
  assert_status 0
  assert_contains "$output" "config.json.old"
  grep -q why "$file.old"
  [ "$(config web1 .pids)" = 200 ]
  echo '{ "format": 1, "notes": "a // b" }' >"$file"
  run vguest web1 set pids=300
  [ -z "$output" ]
  echo '{ "format": 1, "netwrok": "host" }' >"$file"
  run vguest web1 set pids=100
  assert_status 2
  assert_contains "$output" 'config.json: unknown key "netwrok"; did you mean "network"?'
}

# selected OPTION…: the names that get tells, on one line.
selected () {
  vguest "$@" get hostname --json | jq -r '[.guests[].name] | join(" ")'
}

@test "selections: by label, template, state, file; an empty one says why" {
  vguest web1 set labels.role=web labels.tier=front
  vguest web2 set labels.role=db
  vtemplate -q import other "$T/source"
  vguest -q app build -m clone -- -s other
  [ "$(selected --label role)" = "web1 web2" ]
  [ "$(selected --label role=web)" = web1 ]
  [ "$(selected --label role --label tier=front 'web*')" = web1 ]
  [ "$(selected --template other)" = app ]
  [ "$(selected --stopped --exclude 'web*')" = app ]
  printf '# some\nweb[1-2]\n\n app # one\n' >"$T/list"
  [ "$(selected --from-file "$T/list")" = "app web1 web2" ]
  [ "$(selected --from-file - --exclude web1 <"$T/list")" = "app web2" ]
  run vguest --label role=mail get hostname
  assert_status 5
  assert_contains "$output" "--label role=mail leaves none of 4 selected guests"
  run vguest --template othr 'web*' get hostname
  assert_status 5
  assert_contains "$output" "--template othr leaves none of 3 selected guests"
  run vguest --running get hostname
  assert_status 4
  assert_contains "$output" "--running leaves none of 4"
  run vguest --running --stopped get hostname
  assert_status 2
  run vguest get hostname
  assert_status 2
  run vguest --from-file "$T/nothing" get hostname
  assert_status 1
  run vguest-stat --label role --json
  [ "$(json '[.guests[].name] | join(" ")')" = "web1 web2" ]
  run vhashify --label role=web --json
  assert_status 0
  run vguest --label role=db delete --yes
  assert_status 0
  refute [ -e "$VGUEST_ROOT/guests/web2" ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Guests that start and stop with the host: vguest-autostart, the units' commands, the init script;
# and what vguest-stat and vguest-info tell of guests that run.

load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq
}

# autostart NAME PRIORITY [DEPENDS…]
autostart () {
  local name=$1 priority=$2
  shift 2
  configure "$name" "$(jq -n --argjson p "$priority" \
    '{autostart: true, autostart_priority: $p, depends: $ARGS.positional}' --args "$@" |
    sed '1s/^/. + /')"
}

unit_command () { # UNIT KEY [INSTANCE]
  sed "s|@bindir@|$VGUEST_BIN_DIR|g; s|%i|${3:-}|g" "$SOURCE_DIR/host/$1.in" | sed -n "s/^$2=//p"
}

@test "list and status, without starting anything" {
  make_tools_guests 'a,b,c,d,e'
  autostart a 5 b
  autostart c 9
  autostart d 0 nobody
  run vguest-autostart list --json
  assert_status 0
  [ "$(json '[.guests[] | .name + ":" + (.autostart | tostring)] | join(" ")')" = \
    "c:true b:false a:true d:true" ]
  assert_contains "$(json '.guests[3].problem')" '"nobody"'
  run vguest-autostart list
  assert_contains "$output" "guest d will not be started: it depends on \"nobody\""
  run vguest-autostart status
  assert_status 3
  assert_contains "$output" "0 of 4 guests run"
  assert_contains "$output" "c: stopped"
}

@test "guests start in order, what cannot be started is told, and all stop in the reverse order" {
  make_tools_guests 'app,db,early,loop,off,top,want'
  autostart app 0 db
  configure db '. + {depends: []}'
  autostart early 10
  autostart loop 3 top
  autostart top 3 loop
  autostart want 1 ghost
  run vguest-autostart start -j 1
  assert_status 3
  [ "$(grep -c ': started' <<<"$output")" = 3 ]
  [ "$(grep ': started' <<<"$output" | paste -sd ' ')" = \
    "early: started db: started app: started" ]
  assert_contains "$output" "guest loop was not started: it depends on itself: loop -> top -> loop"
  assert_contains "$output" "guest want was not started: it depends on \"ghost\""
  assert_contains "$output" "vguest-autostart: 3 guests were not started"
  [ "$(vguest --all running | sort | paste -sd ' ')" = "app db early" ]
  # Again: nothing to do for those that run.
  run vguest-autostart start --json
  assert_status 3
  output=$(vguest-autostart start --json 2>/dev/null || true)
  [ "$(json '[.changed, .failed] | @json')" = "[0,3]" ]
  vguest off start
  run vguest-autostart stop -j 1
  assert_status 0
  [ "$(paste -sd ' ' <<<"$output")" = "off: stopped app: stopped db: stopped early: stopped" ]
  assert_no_guests_left
  run vguest-autostart stop
  assert_status 0
}

@test "one that does not come up keeps those back that need it, and no others" {
  make_tools_guests 'app,broken,fine'
  autostart app 0 broken
  autostart fine 0
  configure broken ". + {runtime: \"/no/such/runtime\"}"
  run vguest-autostart start
  assert_status 3
  assert_contains "$output" "fine: started"
  assert_contains "$output" "guest broken was not started"
  assert_contains "$output" "guest app was not started: it depends on broken, which was not started"
  vguest-autostart -q stop
  assert_no_guests_left
}

@test "vguest NAME start starts first what the guest depends on" {
  make_tools_guests 'app,db,disk,other'
  configure app '. + {depends: ["db"]}'
  configure db '. + {depends: ["disk"]}'
  run vguest app start
  assert_status 0
  [ "$(paste -sd ' ' <<<"$output")" = "disk: started db: started app: started" ]
  run vguest app,disk start --json
  assert_status 0
  [ "$(json '[.guests[] | .name + " " + .state] | join(",")')" = "app running,disk running" ]
  run vguest app,disk start
  assert_status 0
  [ "$(sort <<<"$output" | paste -sd ' ')" = "app: is running already disk: is running already" ]
  vguest -q app stop
  [ "$(vguest db,disk running | sort | paste -sd ' ')" = "db disk" ]
  vguest -q --all stop
  configure disk '. + {depends: ["app"]}'
  run vguest app start
  assert_status 3
  assert_contains "$output" "it depends on itself"
  run vguest other start
  assert_status 0
  vguest -q --all stop
  assert_no_guests_left
}

@test "damaged settings of one guest do not keep the others from starting" {
  make_tools_guests 'bad,good'
  autostart good 0
  configure bad '. + {autostart: "sometimes"}'
  run vguest-autostart start
  assert_status 3
  assert_contains "$output" "good: started"
  assert_contains "$output" "bad"
  vguest-autostart -q stop
}

@test "the init script and the commands of the units, with guests" {
  make_tools_guests 'one,two'
  autostart one 0
  sed "s|@bindir@|$VGUEST_BIN_DIR|g" "$SOURCE_DIR/host/vguest.init.in" >"$T/init"
  run sh "$T/init" status
  assert_status 3
  run sh "$T/init" start
  assert_status 0
  run sh "$T/init" status
  assert_status 0
  assert_contains "$output" "1 of 1 guests run"
  run sh "$T/init" restart
  assert_status 0
  run vguest one status
  assert_status 0
  run sh "$T/init" stop
  assert_status 0
  run vguest one status
  assert_status 3

  bash -c "$(unit_command vguest.service ExecStart)"
  bash -c "$(unit_command vguest@.service ExecStart two)"
  # PIDFile=: root's, and that of the process that ends with the guest.
  local file
  file=$(run_dir)/two/pid
  [ "$(stat -c %u "$file")" = 0 ]
  [ "$(cat "$file")" = "$(vguest-info --json two | jq .monitor_pid)" ]
  # Guests that run are no failure of the nightly pass.
  bash -c "$(unit_command vguest-unify.service ExecStart)"
  bash -c "$(unit_command vguest@.service ExecStop two)"
  [ ! -e "$file" ]
  bash -c "$(unit_command vguest.service ExecStop)"
  assert_no_guests_left
}

@test "vguest-stat and vguest-info of guests that run" {
  make_tools_guests 'web[1-3]'
  run_plain web1 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; while :; do sleep 1; done'
  vguest -q 'web[1-2]' start
  run vguest-stat --json --interval 0.2
  assert_status 0
  [ "$(json .running)" = 2 ]
  [ "$(json '[.guests[].state] | join(" ")')" = "running running stopped" ]
  [ "$(json '.guests[0] | .processes >= 1 and .memory_bytes > 0 and .cpu_us > 0')" = true ]
  [ "$(json '.guests[0].cpu_percent >= 0')" = true ]
  [ "$(json '.guests[0].uptime_seconds < 60')" = true ]
  [ "$(json '.guests[2] | [.pid, .uptime_seconds, .processes, .cpu_us] | @json')" = \
    "[null,null,null,null]" ]
  local pid
  pid=$(json '.guests[0].pid')
  run vguest-stat 'web[1-2]'
  assert_contains "$output" "$pid"
  run vguest-stat --disk --json
  [ "$(json '.guests[0] | .state == "running" and .own_bytes > 0 and .pid > 0')" = true ]

  run vguest-info --json web1
  assert_status 0
  [ "$(json '[.state, .pid, .init_style, .root] | @json')" = \
    "[\"running\",$pid,\"plain\",\"/proc/$pid/root\"]" ]
  [ "$(cat "$(json .root)/etc/hostname")" = web1 ]
  [ "$(vguest-info --json | jq .guests.running)" = 2 ]
  vguest -q 'web[1-2]' stop
  # The last start is remembered.
  [ "$(vguest-info --json web1 | jq '.started > 1600000000 and .pid == null')" = true ]
}

@test "50 guests at once: vguest-stat in 0.2 s, vexec in order" {
  local i start spent best=999999
  make_tools_guests 'g[01-50]'
  vguest -q --all start -j 4
  [ "$(vguest --all running | wc -l)" = 50 ]
  for i in 1 2 3; do
    start=$(date +%s%N)
    vguest-stat >"$T/table"
    spent=$((($(date +%s%N) - start) / 1000000))
    [ "$spent" -ge "$best" ] || best=$spent
  done
  echo "vguest-stat: $best ms"
  [ "$best" -lt "$(stat_limit)" ]
  [ "$(grep -c ' running ' "$T/table")" = 50 ]
  vexec --all -- true
  run vexec --all -j 8 -- sh -c 'cat /etc/hostname'
  assert_status 0
  [ "$(wc -l <<<"$output")" = 50 ]
  [ "$output" = "$(for i in {01..50}; do echo "g$i: g$i"; done)" ]
  vguest-autostart -q stop
  assert_no_guests_left
}

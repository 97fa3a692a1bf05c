#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Templates that get newer: generations beside one another, and the guests on them.

load ../lib/common
load ../lib/guests
load ../lib/sources

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program python3 tar jq
  mkdir -p "$T/www" "$T/definitions"
  export VGUEST_TEMPLATES=$T/definitions
  make_small_template "$T/source"
  rm "$T/source/dev/loop"
  pack "$T/source" "$T/www/root.tar"
}

teardown () {
  stop_server
  common_teardown
}

# change TEXT: another archive, with TEXT in /etc/version.
change () {
  echo "$1" >"$T/source/etc/version"
  pack "$T/source" "$T/www/root.tar"
}

generations () {
  find "$VGUEST_ROOT/templates/$1" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort -n | xargs
}

# outcome NAME: what update says of it.
outcome () {
  grep -v "^vtemplate: " <<<"$output" |
    jq -r --arg name "$1" '.templates[] | select(.template == $name) | .result'
}

version_of () {
  cat "$VGUEST_ROOT/guests/$1/tree/etc/version"
}

@test "what is newer at a web server becomes the next generation; guests keep theirs" {
  start_server
  change one
  vtemplate -q import small "$HTTP/root.tar"
  vguest -q old build -m clone -- -s small
  run vtemplate update small
  assert_status 4
  assert_contains "$output" "nothing newer"
  [ "$(requests "HEAD /root.tar")" -gt 0 ]
  [ "$(requests "GET /root.tar")" = 1 ]

  sleep 1 # Last-Modified has seconds
  change two
  run vtemplate update small --check --json
  assert_status 0
  [ "$(outcome small)" = newer ]
  [ "$(generations small)" = 1 ]
  run vtemplate update small --json
  assert_status 0
  [ "$(outcome small)" = updated ]
  [ "$(generations small)" = "1 2" ]
  vguest -q new build -m clone -- -s small
  vguest -q again build -m clone -- -s small@1
  [ "$(version_of old) $(version_of new) $(version_of again)" = "one two one" ]
  [ "$(vtemplate info small --json | jq .generation)" = 2 ]

  run vtemplate list
  assert_status 0
  assert_contains "$output" "small@1"
  run vtemplate list --json
  [ "$(jq -c '.templates[0] | [.generation, .guests, .older[0].generation, .older[0].guests]' \
    <<<"$output")" = "[2,1,1,2]" ]
  check_root
}

@test "old generations without guests are collected" {
  change one
  vtemplate -q import small "$T/www/root.tar"
  vguest -q a build -m clone -- -s small
  for text in two three; do
    change "$text"
    vtemplate -q update small
  done
  # The second never had a guest.
  [ "$(generations small)" = "1 3" ]
  vguest -q a delete -y
  run vtemplate gc --dry-run
  assert_status 0
  assert_contains "$output" "1"
  [ "$(generations small)" = "1 3" ]
  vtemplate -q gc
  [ "$(generations small)" = 3 ]
  assert_nothing_left
  check_root
  run vguest b build -m clone -- -s small@1
  assert_status 5
  assert_contains "$output" "generation 1"
}

@test "an update that fails, or does not verify, leaves the template as it is" {
  start_server
  change one
  vtemplate -q import small "$HTTP/root.tar"
  sleep 1
  head -c 5000 /dev/urandom >"$T/www/root.tar"
  run vtemplate update small
  assert_status 1
  [ "$(generations small)" = 1 ]
  assert_nothing_left
  check_root
  stop_server
  run env no_proxy=127.0.0.1 timeout 60 vtemplate update small
  assert_status 1
  [ "$(generations small)" = 1 ]
}

@test "--all goes on behind what fails" {
  vtemplate -q import good "$T/www/root.tar"
  mkdir "$T/dir"
  echo file >"$T/dir/file"
  vtemplate -q import gone "$T/dir"
  rm -r "$T/dir"
  change two
  run vtemplate update --all --json
  assert_status 3
  [ "$(outcome good)" = updated ]
  [ "$(outcome gone)" = failed ]
  run vtemplate update --all good
  assert_status 2
  run vtemplate update
  assert_status 2
  run vtemplate update --older-than 1h good
  assert_status 4
  assert_contains "$output" "young enough"
}

@test "two updates at a time make one generation" {
  change one
  vtemplate -q import small "$T/www/root.tar"
  change two
  vtemplate -q update small &
  local other=$!
  vtemplate -q update small || [ $? = 4 ]
  wait "$other" || [ $? = 4 ]
  [ "$(generations small)" = 2 ]
  assert_nothing_left
  check_root
}

@test "after kill -9 at any moment of an update the template is whole" {
  change one
  vtemplate -q import small "$T/www/root.tar"
  vguest -q a build -m clone -- -s small
  for i in {1..12}; do
    change "$i"
    timeout --foreground --signal=KILL "0.$(printf '%03d' $((RANDOM % 200)))" vtemplate -q update small || true
    run vtemplate delete no-such-template --yes # clears up
    assert_nothing_left
    [ -e "$VGUEST_ROOT/templates/small/1/template.json" ]
    vtemplate info small >/dev/null
  done
  vtemplate -q update --force small
  vguest -q b build -m clone -- -s small
  [ "$(version_of b)" = 12 ]
  vtemplate -q gc
  check_root
}

@test "a template that is not there yet is made by its definition" {
  jq -n --arg path "$T/www/root.tar" '{source: {type: "file", path: $path}}' \
    >"$T/definitions/mine.json"
  change one
  run vguest a build -m clone -- -s mine
  assert_status 5
  assert_contains "$output" "--pull missing"
  run vguest a build -m clone --pull never -- -s mine
  assert_status 5
  run vguest a build -m clone --pull sometimes -- -s mine
  assert_status 2
  vguest -q a build -m clone --pull missing -- -s mine
  change two
  vguest -q b build -m clone --pull missing -- -s mine
  vguest -q c build -m clone --pull always -- -s mine
  [ "$(version_of a) $(version_of b) $(version_of c)" = "one one two" ]
  run vguest d build -m clone --pull always -- -s nonesuch
  assert_status 2
}

@test "steps run in the new tree, and what is to be cleaned up is gone" {
  skip_unless_runtime
  make_tools_template "$T/tools"
  mkdir -p "$T/tools/var/cache/things"
  echo x >"$T/tools/var/cache/things/a"
  pack "$T/tools" "$T/www/tools.tar"
  cat >"$T/definitions/stepped.json" <<END
{
  "source": {"type": "file", "path": "$T/www/tools.tar"},
  "steps": [
    "echo made >/etc/made; rm /etc/hosts",
    ["mkdir", "-p", "/srv/a b"]
  ],
  "cleanup": ["/var/cache/things/*", "/nothing/here"]
}
END
  vtemplate -q build stepped
  local tree
  tree=$(tree_of stepped)
  [ "$(cat "$tree/etc/made")" = made ]
  [ ! -e "$tree/etc/hosts" ]
  [ -d "$tree/srv/a b" ]
  [ -d "$tree/var/cache/things" ]
  [ -z "$(ls -A "$tree/var/cache/things")" ]
  # The rest is as it was.
  diff <(tree_list "$T/tools" | grep -v -e etc -e srv -e var/cache/things -e "^b'dev" -e "^b'run") \
    <(tree_list "$tree" | grep -v -e etc -e srv -e var/cache/things -e "^b'dev" -e "^b'run")
  assert_nothing_left
  check_root

  sed -i 's/rm /false; rm /' "$T/definitions/stepped.json"
  run vtemplate update stepped -d "$T/definitions/stepped.json"
  assert_status 1
  assert_contains "$output" "exit status 1"
  [ "$(generations stepped)" = 1 ]
  assert_nothing_left
}

@test "--upgrade upgrades the packages by a transaction" {
  skip_unless_runtime
  make_tools_template "$T/tools"
  mkdir -p "$T/tools/var/lib/dpkg" "$T/tools/var/lib/apt/lists" "$T/tools/var/cache/apt/archives"
  echo "Package: a" >"$T/tools/var/lib/dpkg/status"
  cat >"$T/tools/usr/bin/apt-get" <<'END'
#!/bin/sh
for word; do
  case $word in
    update) echo list >/var/lib/apt/lists/list ;;
    dist-upgrade)
      [ ! -e /etc/failing ] || exit 100
      [ -e /etc/current ] || { echo "Version: 2" >>/var/lib/dpkg/status; touch /etc/current; } ;;
  esac
done
END
  chmod +x "$T/tools/usr/bin/apt-get"
  vtemplate -q import tools "$T/tools"
  vguest -q a build -m clone -- -s tools
  run vtemplate update --upgrade tools
  assert_status 0
  [ "$(generations tools)" = "1 2" ]
  [ "$(wc -l <"$VGUEST_ROOT/templates/tools/2/tree/var/lib/dpkg/status")" = 2 ]
  [ ! -e "$VGUEST_ROOT/templates/tools/2/tree/var/lib/apt/lists/list" ]
  [ ! -e "$VGUEST_ROOT/guests/a/tree/etc/current" ]
  [ "$(vtemplate info tools --json | jq .upgraded_from)" = 1 ]
  # What was not changed is the same object.
  [ "$(stat -c %i "$VGUEST_ROOT"/templates/tools/[12]/tree/usr/bin/apt-get | sort -u | wc -l)" = 1 ]
  run vtemplate update --upgrade tools
  assert_status 4
  [ "$(generations tools)" = "1 2" ]
  assert_nothing_left
  check_root
}

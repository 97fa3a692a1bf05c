#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Definitions: those that come with vguest, what is wrong with others, and the schema that says so
# too.

load ../lib/common

setup () {
  common_setup
  skip_unless_program python3 jq
}

# plain FILE: a definition without its comments, which are lines of their own.
plain () {
  sed 's,^ *//.*,,' "$1"
}

skip_unless_schema () {
  python3 -c 'import jsonschema' 2>/dev/null || skip "needs python3-jsonschema"
}

# by_schema FILE: is it right by the schema?
by_schema () {
  plain "$1" | python3 -c '
import json, sys, warnings
warnings.simplefilter("ignore")
import jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
problems = [e.message[:200] for e in jsonschema.Draft202012Validator(schema).iter_errors(json.load(sys.stdin))]
print("\n".join(problems))
sys.exit(len(problems) > 0)' "$SOURCE_DIR/templates/definition.schema.json"
}

@test "the definitions that come with vguest are right" {
  local file name
  for file in "$SOURCE_DIR"/templates/*.json; do
    name=$(basename "$file")
    [ "$name" != definition.schema.json ] || continue
    run vtemplate check "$file"
    assert_status 0
    [ "$(plain "$file" | jq -r '."$schema"')" = definition.schema.json ]
    plain "$file" | jq -e .packages >/dev/null
    # Installed, too.
    grep -q "templates/$name" "$SOURCE_DIR/Makefile.am"
    grep -q "${name%.json}" "$SOURCE_DIR/man/vguest-template.5"
  done
  for name in debian-11 debian-12 debian-13 ubuntu-22.04 ubuntu-24.04 fedora-42 almalinux-9 rocky-9 \
    opensuse-leap-15.6 archlinux alpine-3.22; do
    [ -e "$SOURCE_DIR/templates/$name.json" ]
  done
}

@test "the definitions that come with vguest are right by the schema" {
  skip_unless_schema
  local file
  for file in "$SOURCE_DIR"/templates/*.json; do
    [ "${file##*/}" = definition.schema.json ] || by_schema "$file"
  done
}

@test "check and the schema agree on what is right and what is wrong" {
  skip_unless_schema
  local verdict text status
  while read -r verdict text; do
    echo "$text" >"$T/definition.json"
    run vtemplate check "$T/definition.json"
    case $verdict in right) assert_status 0 ;; *) assert_status 1 ;; esac
    status=right
    by_schema "$T/definition.json" >/dev/null || status=wrong
    [ "$status" = "$verdict" ] || {
      echo "the schema says $status of $text"
      return 1
    }
  done <"$TESTS_DIR/lib/definitions.txt"
}

@test "all that is wrong is told at once" {
  echo '{"sorce": {}, "source": {"type": "bootstrap", "suite": "--x", "include": ["a", "-b"]},
    "guest": {"memory": "many"}, "steps": [[]]}' >"$T/bad.json"
  run vtemplate check "$T/bad.json"
  assert_status 1
  for text in sorce source.suite 'source.include[1]' guest 'steps[0]'; do
    assert_contains "$output" "\"$text\""
  done
  run vtemplate check --json "$T/bad.json" "$SOURCE_DIR/templates/debian-12.json"
  assert_status 1
  [ "$(jq -c '[.files[] | .problems | length > 0]' <<<"$output")" = "[true,false]" ]
  run vtemplate check "$T/missing.json"
  assert_status 1
  assert_contains "$output" "missing.json"
  echo '{' >"$T/bad.json"
  run vtemplate check "$T/bad.json"
  assert_status 1
  run vtemplate check
  assert_status 2
  # Nothing was made.
  [ ! -e "$VGUEST_ROOT" ]
}

@test "debian-11 and debian-13 are built" {
  skip_unless_overlay
  skip_unless_mirror
  export VGUEST_TEMPLATES=$T/definitions
  mkdir "$T/definitions"
  local name
  for name in debian-11 debian-13; do
    # The packages that make a base: each further one is only time.
    plain "$SOURCE_DIR/templates/$name.json" |
      jq '.source.include = ["procps"] | .source.variant = "apt"' >"$T/definitions/$name.json"
    timeout 60 mmdebstrap --quiet --simulate --variant=essential \
      "$(jq -r .source.suite "$T/definitions/$name.json")" /dev/null >/dev/null 2>&1 || continue
    run vtemplate build "$name"
    assert_status 0
    [ -x "$VGUEST_ROOT/templates/$name/1/tree/usr/bin/apt-get" ]
    assert_contains "$(vtemplate info "$name")" "verified:     packages: openpgp"
  done
  assert_nothing_left
  check_root
}

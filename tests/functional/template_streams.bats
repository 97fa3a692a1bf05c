#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Images of servers that speak simplestreams.

load ../lib/common
load ../lib/sources

setup () {
  common_setup
  skip_unless_overlay
  skip_unless_program python3 tar xz jq
  mkdir -p "$T/www" "$T/templates" "$T/keys"
  export VGUEST_KEYS=$T/keys
  make_small_template "$T/source"
  rm "$T/source/dev/loop"
  pack "$T/source" "$T/root.tar"
  xz -0 -c "$T/root.tar" >"$T/www/root.tar.xz"
  echo '{{ container.name }}' >"$T/templates/hostname.tpl"
  printf '127.0.0.1 localhost\n127.0.1.1 {{ instance.name }}\n' >"$T/templates/hosts.tpl"
  echo '{% if x %}' >"$T/templates/more.tpl"
  cat >"$T/metadata.yaml" <<'END'
architecture: amd64
templates:
  /etc/hostname:
    when: [create]
    template: hostname.tpl
  /etc/hosts:
    template: hosts.tpl
  /etc/more:
    template: more.tpl
END
  tar -C "$T" -cJf "$T/www/lxd.tar.xz" metadata.yaml templates
  start_server
}

teardown () {
  [ ! -e "$T/nginx.pid" ] || kill "$(cat "$T/nginx.pid")"
  stop_server
  stop_agents
  common_teardown
}

digest () {
  cat "$@" | sha256sum | cut -d' ' -f1
}

# publish VERSION [FILTER]: the documents of the server, with one version of one image, changed by
# a filter of jq.
publish () {
  jq -n '{format: "index:1.0", index: {images: {datatype: "image-downloads",
    path: "streams/v1/images.json", format: "products:1.0"}}}' >"$T/www/index.json"
  local squashfs=none
  [ ! -e "$T/www/root.squashfs" ] || squashfs=$(digest "$T/www/lxd.tar.xz" "$T/www/root.squashfs")
  jq -n --arg version "$1" --arg arch amd64 \
    --arg meta "$(digest "$T/www/lxd.tar.xz")" --arg root "$(digest "$T/www/root.tar.xz")" \
    --arg both "$(digest "$T/www/lxd.tar.xz" "$T/www/root.tar.xz")" --arg squashfs "$squashfs" '
    {products: {"small:one:amd64:default": {arch: $arch, os: "Small", release: "one",
      variant: "default", aliases: "small/one,small/one/default", versions: {($version): {items: {
        "lxd.tar.xz": {ftype: "lxd.tar.xz", path: "images/lxd.tar.xz", sha256: $meta, size: 1,
          combined_rootxz_sha256: $both, combined_squashfs_sha256: $squashfs},
        "root.tar.xz": {ftype: "root.tar.xz", path: "images/root.tar.xz", sha256: $root, size: 1},
        "root.squashfs": {ftype: "squashfs", path: "images/root.squashfs", size: 1}
      }}}}}}
    | if $squashfs == "none" then del(.products[].versions[].items["root.squashfs"]) else . end
    | '"${2:-.}" >"$T/www/images.json"
}

start_nginx () {
  cat >"$T/nginx.conf" <<END
pid $T/nginx.pid;
error_log $T/nginx.error;
events {}
http {
  access_log $T/nginx.log;
  client_body_temp_path $T/nginx.body;
  proxy_temp_path $T/nginx.proxy;
  fastcgi_temp_path $T/nginx.fastcgi;
  uwsgi_temp_path $T/nginx.uwsgi;
  scgi_temp_path $T/nginx.scgi;
  server {
    listen 127.0.0.1:$1;
    root $T/nginx;
  }
}
END
  nginx -c "$T/nginx.conf" -e "$T/nginx.error" 3>&- 4>&- 8>&-
}

import () {
  run vtemplate import "$1" "simplestreams:$HTTP#small/one"
}

define () {
  jq -n --arg url "$HTTP" '{source: ({type: "simplestreams", url: $url, image: "small/one",
    arch: "amd64"} + '"${2:-{\}}"')}' >"$T/$1.json"
}

# Names are the only difference to the source.
assert_image () {
  diff <(tree_list "$T/source" | grep -v -e "^b'etc/host" -e "^b'etc' ") \
    <(tree_list "$(tree_of "$1")" | grep -v -e "^b'etc/host" -e "^b'etc' ")
  [ "$(cat "$(tree_of "$1")/etc/hostname")" = "$1" ]
  grep -q "^127.0.1.1 $1$" "$(tree_of "$1")/etc/hosts"
  [ ! -e "$(tree_of "$1")/etc/more" ]
}

@test "an image is found by its name, and its names are filled in" {
  publish 20240101
  define small
  vtemplate -q build -d "$T/small.json" small
  assert_image small
  run vtemplate info small
  assert_contains "$output" "small/one of $HTTP/ (amd64)"
  assert_contains "$output" "sha256 with its metadata $(digest "$T/www/lxd.tar.xz" "$T/www/root.tar.xz")"
  vguest -q web build -m clone -- -s small
  [ "$(cat "$VGUEST_ROOT/guests/web/private/etc/hostname")" = web ]
  grep -q "^127.0.1.1[[:space:]]*web$" "$VGUEST_ROOT/guests/web/private/etc/hosts"
  check_root
  # One pass: the archive is asked for once.
  [ "$(requests "GET /images/root.tar.xz")" = 1 ]
}

@test "a squashfs image, with either program that reads it" {
  skip_unless_program mksquashfs sqfs2tar unsquashfs setfacl
  setfacl -bR "$T/source" # the format has none
  mksquashfs "$T/source" "$T/www/root.squashfs" -quiet -no-progress -comp xz >/dev/null
  publish 20240101 'del(.products[].versions[].items["root.tar.xz"])'
  define one
  vtemplate -q build -d "$T/one.json" one
  mkdir "$T/bin"
  local program
  for program in /usr/bin/* /bin/* /usr/sbin/*; do
    [ "${program##*/}" = sqfs2tar ] || ln -sf "$program" "$T/bin/"
  done
  PATH=$VGUEST_BIN_DIR:$T/bin vtemplate -q build -d "$T/one.json" two
  for name in one two; do
    # The format has no part of a second, and no holes.
    diff <(tree_list "$T/source" | grep -v -e "^b'etc/host" -e "^b'etc' " | sed 's/\.[0-9]* / /') \
      <(tree_list "$(tree_of $name)" | grep -v -e "^b'etc/host" -e "^b'etc' " | sed 's/\.[0-9]* / /')
  done
  rm "$T/bin/unsquashfs"
  PATH=$VGUEST_BIN_DIR:$T/bin run vtemplate build -d "$T/one.json" three
  assert_status 1
  assert_contains "$output" "squashfs-tools"
  check_root
}

# What an administrator would serve images with, not what tests are served by.
@test "an nginx serves both kinds of images" {
  skip_unless_program nginx mksquashfs sqfs2tar
  publish 20240101
  define small
  mksquashfs "$T/source" "$T/www/root.squashfs" -quiet -no-progress -comp xz >/dev/null
  # The paths that the documents tell.
  mkdir -p "$T/nginx/streams/v1" "$T/nginx/images"
  cp "$T/www/index.json" "$T/www/images.json" "$T/nginx/streams/v1/"
  cp "$T/www/lxd.tar.xz" "$T/www/root.tar.xz" "$T/nginx/images/"
  chmod 755 "$T"
  local port=$((20000 + RANDOM % 10000)) url
  until start_nginx "$port"; do
    port=$((port + 1))
  done
  url=http://127.0.0.1:$port/
  sed -i "s|$HTTP|$url|" "$T/small.json"
  vtemplate -q build -d "$T/small.json" small
  assert_image small
  run vtemplate update --check small
  assert_status 4

  publish 20240201 'del(.products[].versions[].items["root.tar.xz"])'
  cp "$T/www/images.json" "$T/nginx/streams/v1/"
  cp "$T/www/root.squashfs" "$T/nginx/images/"
  vtemplate -q update small
  [ "$(vtemplate --json info small | jq .generation)" = 2 ]
  [ "$(cat "$VGUEST_ROOT/templates/small/2/tree/etc/hostname")" = small ]
  grep -q '"GET /images/root.squashfs HTTP/1.1" 200' "$T/nginx.log"
  check_root
}

@test "what is not as the server says is refused, and leaves nothing" {
  local zeros
  zeros=$(printf '%064d' 0)
  define small
  refused () {
    run vtemplate build -d "$T/small.json" small
    assert_status 1
    assert_contains "$output" "$1"
    assert_no_trace
  }
  publish 1 ".products[].versions[].items[\"root.tar.xz\"].sha256 = \"$zeros\""
  refused "$zeros"
  publish 1 ".products[].versions[].items[\"lxd.tar.xz\"].combined_rootxz_sha256 = \"$zeros\""
  refused "$zeros"
  publish 1 ".products[].versions[].items[\"lxd.tar.xz\"].sha256 = \"$zeros\""
  refused "$zeros"
  publish 1 '.products[].versions[].items |= map_values(del(.sha256, .combined_rootxz_sha256))'
  refused "no digest"
  publish 1 '.products[].versions[].items["root.tar.xz"].path = "../root.tar.xz"'
  refused "no path below"
  publish 1 '.products[].arch = "other"'
  refused "no image small/one for amd64"
  echo '[]' >"$T/www/images.json"
  refused "images.json"
  rm "$T/www/images.json"
  refused "404"
}

@test "signed documents" {
  skip_unless_program gpg gpgv
  make_openpgp_key good
  make_openpgp_key other
  publish 20240101
  local name
  for name in index images; do
    sign_openpgp good --clearsign "$T/www/$name.json" "$T/www/$name.sjson"
    rm "$T/www/$name.json"
  done
  define small "{keyring: \"$T/good.gpg\"}"
  jq '.require_signature = true' "$T/small.json" >"$T/required.json"
  vtemplate -q build -d "$T/required.json" small
  assert_contains "$(vtemplate info small)" "index.sjson: openpgp"
  vtemplate -q delete small --yes
  define small "{keyring: \"$T/other.gpg\"}"
  run vtemplate build -d "$T/small.json" small
  assert_status 1
  assert_contains "$output" "not in the keyring"
  assert_no_trace
  sed 's/20240101/20240102/' "$T/www/images.sjson" >"$T/changed"
  cp "$T/changed" "$T/www/images.sjson"
  define small "{keyring: \"$T/good.gpg\"}"
  run vtemplate build -d "$T/small.json" small
  assert_status 1
  assert_contains "$output" "signature is wrong"
  assert_no_trace
}

@test "a newer version of the image is the next generation" {
  publish 20240101
  [ "$(uname -m)" = x86_64 ] || skip "for amd64"
  import small
  assert_status 0
  assert_image small
  run vtemplate update small
  assert_status 4
  publish 20240202
  run vtemplate update small --check --json
  assert_status 0
  [ "$(jq -r '.templates[0].available' <<<"$output")" = 20240202 ]
  vtemplate -q update small
  [ "$(vtemplate info small --json | jq -r .version.serial)" = 20240202 ]
}

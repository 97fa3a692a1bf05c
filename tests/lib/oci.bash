# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154 # bats sets status and output
# Images of containers for the functional tests: `load ../lib/oci` behind common and sources.

# make_image NAME COMMAND…: $T/layout:NAME with what the command makes in an empty directory as its
# only layer.
make_image () {
  [ -d "$T/layout" ] || umoci init --layout "$T/layout"
  umoci new --image "$T/layout:$1"
  add_layer "$@"
}

# add_layer NAME COMMAND…: one more layer, of what the command changes in the tree it is run in. The
# tree stays, for the next one.
add_layer () {
  local name=$1
  shift
  [ -d "$T/bundle-$name" ] || umoci unpack --image "$T/layout:$name" "$T/bundle-$name"
  (cd "$T/bundle-$name/rootfs" && "$@")
  umoci repack --refresh-bundle --image "$T/layout:$name" "$T/bundle-$name"
}

# add_hand_made NAME KIND…: layers of tests/lib/image-layer.
add_hand_made () {
  local name=$1 kind
  shift
  rm -rf "$T/bundle-$name"
  for kind; do
    "$TESTS_DIR/lib/image-layer" "$kind" "$T/layer.tar"
    umoci raw add-layer --image "$T/layout:$name" "$T/layer.tar"
  done
}

# assert_unpacked NAME TREE: the tree is what umoci makes of $T/layout:NAME, in everything that can
# be seen of it.
assert_unpacked () {
  umoci unpack --image "$T/layout:$1" "$T/reference"
  tree_list "$T/reference/rootfs" >"$T/reference.list"
  tree_list "$2" >"$T/tree.list"
  diff "$T/reference.list" "$T/tree.list"
  rm -rf "$T/reference"
}

# digest_of NAME: of its manifest.
digest_of () {
  jq -r --arg name "$1" '.manifests[]
    | select (.annotations["org.opencontainers.image.ref.name"] == $name) | .digest' \
    "$T/layout/index.json"
}

# blob DIGEST: its file in the layout.
blob () {
  echo "$T/layout/blobs/${1/://}"
}

# start_registry: Debian's docker-registry, with TLS by the tests' CA and the user anna, whose
# password is "se:cret". Sets REGISTRY to HOST:PORT. Stop it with stop_registry.
start_registry () {
  local try
  mkdir -p "$T/ca" "$T/registry"
  "$TESTS_DIR/lib/test-ca" "$T/ca"
  htpasswd -Bbn -C 4 anna se:cret >"$T/registry.users" 2>/dev/null
  cat >"$T/registry.yml" <<END
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: $T/registry}}
http:
  addr: 127.0.0.1:0
  tls: {certificate: $T/ca/server.crt, key: $T/ca/server.key}
auth: {htpasswd: {realm: test, path: $T/registry.users}}
END
  : >"$T/registry.log"
  docker-registry serve "$T/registry.yml" >>"$T/registry.log" 2>&1 3>&- 4>&- &
  REGISTRY_PID=$!
  for ((try = 0; try < 100; try++)); do
    REGISTRY=$(sed -n 's/.*listening on \(127\.0\.0\.1:[0-9]*\), tls.*/\1/p' "$T/registry.log")
    [ -z "$REGISTRY" ] || break
    sleep 0.1
  done
  [ -n "$REGISTRY" ]
  mkdir -p "$T/certs"
  cp "$T/ca/ca.pem" "$T/certs/ca.crt"
  export no_proxy=127.0.0.1
  unset SSL_CERT_FILE SSL_CERT_DIR REGISTRY_AUTH_FILE XDG_RUNTIME_DIR XDG_CONFIG_HOME DOCKER_CONFIG
  export CURL_CA_BUNDLE=$T/ca/ca.pem HOME=$T/home
  mkdir -p "$HOME"
}

stop_registry () {
  [ -n "${REGISTRY_PID:-}" ] || return 0
  kill "$REGISTRY_PID" 2>/dev/null || true
  wait "$REGISTRY_PID" 2>/dev/null || true
}

# push NAME [OPTION…]: $T/layout:NAME to the registry's test/image:NAME.
push () {
  local name=$1
  shift
  skopeo --insecure-policy copy --quiet --dest-cert-dir "$T/certs" --dest-creds anna:se:cret "$@" \
    "oci:$T/layout:$name" "docker://$REGISTRY/test/image:$name"
}

# gets: how many documents and layers the registry has sent.
gets () {
  grep -c '"GET /v2/test/image/.* 200 ' "$T/registry.log" || true
}

# serve_image NAME: $T/layout:NAME as the repository "repo" of the server of lib/sources, with TLS;
# IMAGE is its name. What goes wrong is said by rules.
serve_image () {
  local digest
  start_server tls
  export CURL_CA_BUNDLE=$T/ca/ca.pem HOME=$T/home
  unset REGISTRY_AUTH_FILE XDG_RUNTIME_DIR XDG_CONFIG_HOME DOCKER_CONFIG
  mkdir -p "$T/www/v2/repo/manifests" "$T/www/v2/repo/blobs" "$HOME"
  for digest in "$T"/layout/blobs/sha256/*; do
    cp "$digest" "$T/www/v2/repo/blobs/sha256:${digest##*/}"
    cp "$digest" "$T/www/v2/repo/manifests/sha256:${digest##*/}"
  done
  cp "$(blob "$(digest_of "$1")")" "$T/www/v2/repo/manifests/latest"
  export IMAGE=docker://${HTTPS#https://}/repo
}

# rule PATTERN QUERY: see tests/lib/http-server; in place of those before.
rule () {
  echo "/v2/repo/$1 $2" >"$T/www/.rules"
}

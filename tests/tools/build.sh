#!/usr/bin/env bash
# Builds the pinned programs that tests, demo and benchmarks run against, once per machine.
#
# Usage: tests/tools/build.sh            build what is missing, print the folder that holds the programs
#        tests/tools/build.sh --path     print that folder, build nothing
#
# Each folder beside this file is a Go module of ours that names published programs as `tool`s; its go.sum pins every source.
# One family per module, so that one program's dependencies never raise another's. The cache lives outside the checkout
# and is keyed by the content of this script and the module files, so a version change builds anew and an old checkout keeps its own.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache_root=${GITOPS_TOOLS_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/kubectl-gitops/tools}
key=$(cd "$here" && cat build.sh ./*/go.mod ./*/go.sum | sha256sum | cut -c1-16)
bin=$cache_root/$key/bin

if [ "${1:-}" = --path ]; then
  printf '%s\n' "$bin"
  exit 0
fi
if [ -e "$cache_root/$key/complete" ]; then
  printf '%s\n' "$bin"
  exit 0
fi

say() { printf '%s\n' "$*" >&2; }

lacking=0
need() { # program, what it is for, Debian package, other way
  if ! command -v "$1" >/dev/null 2>&1; then
    say "error: \`$1\` is not on PATH ($2)"
    say "hint:  $3"
    lacking=1
  fi
}
need git "fetches and serves the repositories of the tests" "apt-get install git"
need go "builds the Kubernetes control plane" "install Go 1.26.3 or newer from https://go.dev/dl/ and put its bin folder on PATH"
need cc "links the Rust programs" "apt-get install gcc"
need openssl "makes the control plane's certificates" "apt-get install openssl"
[ "$lacking" = 0 ] || exit 2

go_version=$(go env GOVERSION)
if [ "$(printf '%s\n' go1.26.3 "$go_version" | sort -V | head -n 1)" != go1.26.3 ]; then
  say "error: Go 1.26.3 or newer is needed, this is $go_version"
  say "hint:  install a newer Go from https://go.dev/dl/"
  exit 2
fi

export CGO_ENABLED=0 GOWORK=off GOTOOLCHAIN=local GOFLAGS=-mod=readonly
mkdir -p "$bin"

# One builder at a time: a second caller waits here and then finds everything done.
exec 9>"$cache_root/$key/lock"
flock 9
if [ -e "$cache_root/$key/complete" ]; then
  printf '%s\n' "$bin"
  exit 0
fi

kube_version=v1.36.3
kube_ldflags="-s -w"
for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  # Without this stamp /version reports v0.0.0-master and every capability check goes wrong. The commit is not known to a
  # module build; forty zeros say so.
  kube_ldflags+=" -X $p.gitVersion=$kube_version -X $p.gitMajor=1 -X $p.gitMinor=36 -X $p.gitTreeState=clean"
  kube_ldflags+=" -X $p.gitCommit=0000000000000000000000000000000000000000 -X $p.buildDate=2026-01-01T00:00:00Z"
done

# family, program to write, package, extra linker flags
programs=(
  "helm4|helm|helm.sh/helm/v4/cmd/helm|-s -w -X helm.sh/helm/v4/internal/version.version=v4.2.4"
  "helm3|helm3|helm.sh/helm/v3/cmd/helm|-s -w -X helm.sh/helm/v3/internal/version.version=v3.21.4"
  "kustomize|kustomize|sigs.k8s.io/kustomize/kustomize/v5|-s -w -X sigs.k8s.io/kustomize/api/provenance.version=v5.8.1"
  "sealed-secrets|kubeseal|github.com/bitnami-labs/sealed-secrets/cmd/kubeseal|-s -w -X main.VERSION=0.36.6"
  "sealed-secrets|sealed-secrets-controller|github.com/bitnami-labs/sealed-secrets/cmd/controller|-s -w -X main.VERSION=0.36.6"
  "krew|krew|sigs.k8s.io/krew/cmd/krew|-s -w -X sigs.k8s.io/krew/internal/version.gitTag=v0.5.0"
  "krew|validate-krew-manifest|sigs.k8s.io/krew/cmd/validate-krew-manifest|-s -w"
  "etcd|etcd|go.etcd.io/etcd/server/v3|-s -w"
  "etcd|etcdctl|go.etcd.io/etcd/etcdctl/v3|-s -w"
  "kube|kubectl|k8s.io/kubernetes/cmd/kubectl|$kube_ldflags"
  "kube|kube-scheduler|k8s.io/kubernetes/cmd/kube-scheduler|$kube_ldflags"
  "kube|kube-controller-manager|k8s.io/kubernetes/cmd/kube-controller-manager|$kube_ldflags"
  "kube|kube-apiserver|k8s.io/kubernetes/cmd/kube-apiserver|$kube_ldflags"
  "kwok|kwok|sigs.k8s.io/kwok/cmd/kwok|-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=0.8.0"
)

# KUBEBUILDER_ASSETS brings its own etcd, kube-apiserver and kubectl: they are used as they are and not built.
provided() {
  case "$1" in
    etcd | kube-apiserver | kubectl) [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "${KUBEBUILDER_ASSETS}/$1" ] ;;
    *) return 1 ;;
  esac
}

started=$SECONDS
count=${#programs[@]}
n=0
skipped=0
for line in "${programs[@]}"; do
  IFS='|' read -r family program package ldflags <<<"$line"
  n=$((n + 1))
  if provided "$program"; then
    say "[$n/$count] $program: from KUBEBUILDER_ASSETS"
    skipped=1
    continue
  fi
  if [ -x "$bin/$program" ]; then
    say "[$n/$count] $program: already built"
    continue
  fi
  at=$SECONDS
  cd "$here/$family"
  say "[$n/$count] $program: fetching sources of $package"
  go mod download -x >"$cache_root/$key/$program.fetch.log" 2>&1 || {
    say "error: cannot fetch the sources of $program"
    tail -n 5 "$cache_root/$key/$program.fetch.log" >&2
    say "hint:  the Go module registry must be reachable (GOPROXY=$(go env GOPROXY))"
    exit 2
  }
  total=$(go list -deps -f '{{.ImportPath}}' "$package" | wc -l)
  # `go build -v` names each package as it compiles it; what is cached already is not named, so the count may end early.
  if ! go build -v -p 2 -trimpath -ldflags "$ldflags" -o "$bin/.$program.part" "$package" 2>&1 |
    awk -v p="[$n/$count] $program" -v total="$total" -v log_file="$cache_root/$key/$program.build.log" '
      { print > log_file; fflush(log_file); seen++; if (seen % 250 == 0) { printf "%s: compiling, %d of %d packages\n", p, seen, total; fflush() } }' >&2; then
    say "error: building $program failed"
    tail -n 20 "$cache_root/$key/$program.build.log" >&2
    exit 2
  fi
  mv "$bin/.$program.part" "$bin/$program"
  say "[$n/$count] $program: built in $((SECONDS - at)) s"
done

[ "$skipped" = 1 ] || touch "$cache_root/$key/complete"
say "tools: ready in $bin after $((SECONDS - started)) s"
printf '%s\n' "$bin"

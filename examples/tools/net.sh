# Network namespaces for making captures: `source` it from a make-capture.sh.
#
# Everything happens in namespaces made here and removed at the end; nothing touches the
# machine's own interfaces. Needs root and: ip, tcpdump, ethtool, ping, curl, dig, nmap,
# sshd, nft, python3 (Debian: iproute2 tcpdump ethtool iputils-ping curl dnsutils nmap
# openssh-server openssh-client nftables python3).
# shellcheck shell=bash
set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
spaces=()

clean_up() {
  local name
  for name in "${spaces[@]}"; do
    ip netns pids "$name" 2>/dev/null | xargs -r kill 2>/dev/null || true
    ip netns del "$name" 2>/dev/null || true
  done
  rm -rf "$scratch"
}
trap clean_up EXIT

need() {
  local program
  for program in "$@"; do
    PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || { echo "needs $program" >&2; exit 1; }
  done
  [ "$(id -u)" = 0 ] || { echo "needs root, for namespaces" >&2; exit 1; }
}

# space NAME: a namespace.
space() {
  ip netns add "sprat-$1"
  spaces+=("sprat-$1")
  inside "$1" ip link set lo up
  inside "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
    net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=10000
}

# inside NAME COMMAND...: runs a command in a namespace.
inside() {
  local name=$1
  shift
  ip netns exec "sprat-$name" "$@"
}

# cable A INTERFACE MAC B INTERFACE MAC: joins two namespaces; no offloads, so that what is
# captured is what a wire would carry, checksums and sizes included.
cable() {
  ip link add "spA$$" address "$3" type veth peer name "spB$$" address "$6"
  ip link set "spA$$" netns "sprat-$1" name "$2"
  ip link set "spB$$" netns "sprat-$4" name "$5"
  local end
  for end in "$1 $2" "$4 $5"; do
    # shellcheck disable=SC2086
    set -- $end
    inside "$1" ethtool -K "$2" tx off rx off tso off gso off gro off >/dev/null 2>&1 || true
    inside "$1" ip link set "$2" up
  done
}

# record NAME INTERFACE in|out|inout FILE: captures until `stop_recording`.
record() {
  ip netns exec "sprat-$1" tcpdump -Z root -i "$2" -Q "$3" -s 0 -U --immediate-mode -w "$4" 2>"$scratch/tcpdump.$1.$2.$3" &
  recorders+=($!)
  until grep -q listening "$scratch/tcpdump.$1.$2.$3" 2>/dev/null; do sleep 0.05; done
}
recorders=()

stop_recording() {
  sleep 0.5
  kill "${recorders[@]}"
  wait "${recorders[@]}" || true
  recorders=()
}

# serve_web NAME ADDRESS FOLDER: HTTP on port 80.
serve_web() {
  inside "$1" python3 "$tools/web.py" "$2" "$3" >/dev/null 2>&1 &
  wait_for "$1" "$2" 80
}

# serve_dns NAME ADDRESS: answers every A question with 192.0.2.10, over UDP and TCP.
serve_dns() {
  inside "$1" python3 "$tools/dns.py" "$2" >/dev/null 2>&1 &
  wait_for "$1" "$2" 53
}

# serve_ssh NAME ADDRESS: OpenSSH with a key of its own.
serve_ssh() {
  ssh-keygen -q -t ed25519 -N '' -f "$scratch/host_key"
  mkdir -p /run/sshd
  inside "$1" "$(PATH="$PATH:/usr/sbin" command -v sshd)" -D -h "$scratch/host_key" -f /dev/null \
    -o "ListenAddress=$2" -o PidFile=none -o PasswordAuthentication=no >/dev/null 2>&1 &
  wait_for "$1" "$2" 22
}

wait_for() {
  local _
  for _ in $(seq 100); do
    inside "$1" python3 -c "import socket; socket.create_connection(('$2', $3), 1)" 2>/dev/null && return
    sleep 0.05
  done
  echo "no server at $2:$3" >&2
  exit 1
}

#!/bin/sh
# Two hosts in network namespaces of their own, with a cable each that ends here and nothing between:
# `net.sh up`, `net.sh down`. Needs root.
set -eu

case "${1:-}" in
up)
    for side in out in; do
        ip netns add "edge-$side"
        ip link add "edge-$side" type veth peer name eth0 netns "edge-$side"
        # This end is a cable's, not this host's: it says nothing there and answers for no address.
        echo 8 > "/proc/sys/net/ipv4/conf/edge-$side/arp_ignore"
        ip link set "edge-$side" addrgenmode none up
        ip -n "edge-$side" link set eth0 up
        ip -n "edge-$side" link set lo up
    done
    ip -n edge-out address add 192.0.2.1/24 dev eth0
    ip -n edge-in address add 192.0.2.2/24 dev eth0
    ;;
down)
    for side in out in; do
        ip netns delete "edge-$side"
    done
    ;;
*)
    echo "usage: $0 up|down" >&2
    exit 2
    ;;
esac

#!/bin/sh
# Two hosts in network namespaces of their own, with a cable each that ends here and nothing between:
# `net.sh up`, `net.sh down`. Needs root, and python3 for the web servers.
#
#   edge-home: 10.0.0.2, which reaches everything by way of 10.0.0.1
#   edge-web: 198.51.100.11 and 198.51.100.12, with a web server on each
#
# Neither 10.0.0.1 nor anything that leads from one host to the other is there yet.
set -eu

site=/run/sprat-edge

case "${1:-}" in
up)
    for side in home web; do
        ip netns add "edge-$side"
        ip link add "edge-$side" type veth peer name eth0 netns "edge-$side"
        # This end is a cable's, not this host's: it says nothing there and answers for no address.
        echo 8 > "/proc/sys/net/ipv4/conf/edge-$side/arp_ignore"
        ip link set "edge-$side" addrgenmode none up
        ip -n "edge-$side" link set eth0 up
        ip -n "edge-$side" link set lo up
    done
    ip -n edge-home address add 10.0.0.2/24 dev eth0
    ip -n edge-home route add default via 10.0.0.1
    ip -n edge-web address add 198.51.100.11/24 dev eth0
    ip -n edge-web address add 198.51.100.12/24 dev eth0
    ip -n edge-web route add default via 198.51.100.1
    mkdir -p "$site"
    # Some 39 MB whose every line differs: more than what the hosts put by on the way.
    seq 5000000 > "$site/numbers"
    for server in 11 12; do
        mkdir "$site/$server"
        echo "server $server" > "$site/$server/index.html"
        ln "$site/numbers" "$site/$server/numbers"
        ip netns exec edge-web python3 -m http.server 80 --bind "198.51.100.$server" \
            --directory "$site/$server" > /dev/null 2>&1 < /dev/null &
        until ip netns exec edge-web curl -s "http://198.51.100.$server/" > /dev/null; do
            sleep 0.1
        done
    done
    ;;
down)
    for side in home web; do
        ip netns pids "edge-$side" | xargs -r kill
        ip netns delete "edge-$side"
    done
    rm -r "$site"
    ;;
*)
    echo "usage: $0 up|down" >&2
    exit 2
    ;;
esac

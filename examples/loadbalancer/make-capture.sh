#!/usr/bin/env bash
# Makes the captures anew: real clients and servers, with the kernel balancing between them
# by the same rule. What arrives at the kernel's balancer is the example's input; what the
# kernel sends is what the example must send (expect.py).
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/tools/net.sh
source "$here/../tools/net.sh"
need ip tcpdump ethtool ping curl nft python3

space clients
space balancer
space servers
cable clients wan 02:00:00:00:00:01 balancer eth0 02:00:00:00:00:fe
cable balancer eth1 02:00:00:00:01:fe servers lan 02:00:00:00:01:01
inside clients ip address add 198.51.100.9/24 dev wan
for n in 1 2 3; do inside clients ip address add "198.51.100.$n/24" dev wan; done
inside clients ip route add 192.0.2.80/32 dev wan
inside balancer ip address add 198.51.100.254/24 dev eth0
inside balancer ip address add 192.0.2.80/32 dev eth0
inside balancer ip address add 10.0.0.254/24 dev eth1
inside balancer sysctl -qw net.ipv4.ip_forward=1
inside balancer nft -f - <<'RULES'
table ip balance {
  chain arriving {
    type nat hook prerouting priority dstnat;
    ip daddr 192.0.2.80 tcp dport 80 dnat to tcp sport & 3 map { 0 : 10.0.0.11, 1 : 10.0.0.12, 2 : 10.0.0.13, 3 : 10.0.0.14 }
  }
  chain own { type filter hook input priority filter; policy drop; }
}
RULES
for n in 11 12 13 14; do
  inside servers ip address add "10.0.0.$n/24" dev lan
  mkdir "$scratch/$n"
  python3 -c "print('<title>Server $n</title>' + '<p>I am server $n.</p>' * 50)" >"$scratch/$n/index.html"
  serve_web servers "10.0.0.$n" "$scratch/$n"
done
inside servers ip route add default via 10.0.0.254

record balancer eth0 in "$scratch/clients.pcap"
record balancer eth1 in "$scratch/servers.pcap"
record balancer eth0 out "$scratch/to-clients.pcap"
record balancer eth1 out "$scratch/to-servers.pcap"
asking=()
for n in 1 2 3; do
  for port in 40000 40001 40002 40003 $((41000 + n)); do
    inside clients curl -s -m 5 -o /dev/null --interface "198.51.100.$n" --local-port "$port" http://192.0.2.80/ &
    asking+=($!)
  done
done
wait "${asking[@]}"
inside clients curl -s -m 5 -o /dev/null http://192.0.2.80/nothing-here
inside clients ping -q -c 1 -W 1 192.0.2.80 >/dev/null || true                                # not the service
inside clients curl -s -m 1 -o /dev/null http://192.0.2.80:8080/ || true                      # nor this
stop_recording

cp "$scratch/clients.pcap" "$scratch/servers.pcap" "$here/"
python3 "$here/expect.py" "$scratch/to-clients.pcap" "$scratch/to-servers.pcap"

#!/usr/bin/env bash
# Makes the captures anew. Four hosts talk through the kernel's router: what arrives at it is
# the example's input, what it sends is what the example must send (expect.py).
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/tools/net.sh
source "$here/../tools/net.sh"
need ip tcpdump ethtool ping curl dig nft python3

space router
gateways=(10.0.0.1 10.0.1.1 10.0.2.1 203.0.113.2)
hosts=(10.0.0.10 10.0.1.10 10.0.2.10 203.0.113.1)
for n in 0 1 2 3; do
  space "host$n"
  cable "host$n" lan "02:00:00:00:0$n:01" router "eth$n" "02:00:00:00:0$n:fe"
  inside router ip address add "${gateways[$n]}/24" dev "eth$n"
  inside router sysctl -qw "net.ipv4.conf.eth$n.send_redirects=0"
  inside "host$n" ip address add "${hosts[$n]}/24" dev lan
  # The hosts know the router, so the router has to ask where each of them is.
  inside "host$n" ip neighbour add "${gateways[$n]}" lladdr "02:00:00:00:0$n:fe" dev lan
  inside "host$n" ip route add default via "${gateways[$n]}"
done
inside router ip link set eth2 mtu 600
inside host2 ip link set lan mtu 600
inside router sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0
inside router nft "table ip nowhere { chain forward { type filter hook forward priority filter; ip daddr 10.9.0.0/16 reject with icmp type host-unreachable; }; }"
inside router ip route add default via 203.0.113.1
inside host3 ip address add 192.0.2.10/32 dev lo
mkdir "$scratch/www"
python3 -c "print('<title>Next door</title>' + '<p>Two hops away.</p>' * 200)" >"$scratch/www/index.html"
serve_web host1 10.0.1.10 "$scratch/www"
serve_dns host3 192.0.2.10

for n in 0 1 2 3; do
  record router "eth$n" in "$scratch/in-eth$n.pcap"
  record router "eth$n" out "$scratch/out-eth$n.pcap"
done
inside router ip neighbour flush all
inside host0 curl -s -m 5 -o /dev/null http://10.0.1.10/
inside host2 curl -s -m 5 -o /dev/null http://10.0.1.10/
inside host1 dig +short @192.0.2.10 example.org >/dev/null
inside host0 ping -q -c 2 -i 0.2 192.0.2.10 >/dev/null
inside host0 ping -q -c 2 -i 0.2 -M dont -s 1400 10.0.2.10 >/dev/null            # fragments
inside host0 ping -q -c 1 -W 1 -M do -s 1400 10.0.2.10 >/dev/null || true        # may not be fragmented
inside host0 ping -q -c 2 -i 0.2 -W 1 -t 1 192.0.2.10 >/dev/null || true         # lifetime at its end
inside host0 ping -q -c 1 -W 1 10.9.1.1 >/dev/null || true                       # leads nowhere
inside host1 ping -q -c 1 -R 10.0.0.10 >/dev/null                                # records its route
inside host0 ping -q -c 2 -i 0.2 10.0.0.1 >/dev/null                             # the router itself
inside host0 ping -q -c 1 10.0.1.1 >/dev/null                                    # by its other side
inside host1 python3 -c "
import socket
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.sendto(b'anyone?', ('10.0.1.1', 33434))"                                  # nobody listens there
inside host0 python3 "$here/bad-frames.py" lan
stop_recording

for n in 0 1 2 3; do cp "$scratch/in-eth$n.pcap" "$here/eth$n.pcap"; done
python3 "$here/expect.py" "$scratch"

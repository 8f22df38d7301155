#!/usr/bin/env bash
# Makes customers.pcap and internet.pcap anew, and what they must come to.
#
# Eight customers reach servers through a router that does not translate; it records what
# arrives on each side. expect.py then gives the answers from the internet the public
# addresses and ports that the customers' flows must have been given.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=examples/tools/net.sh
source "$here/../tools/net.sh"
need ip tcpdump ethtool ping curl dig nmap python3

space homes
space carrier
space internet
cable homes lan 02:00:00:00:00:01 carrier eth0 02:00:00:00:00:fe
cable carrier eth1 02:00:00:00:01:fe internet wan 02:00:00:00:01:01
for n in 1 2 3 4 5 6 7 8 9; do inside homes ip address add "100.64.0.$n/24" dev lan; done
inside homes ip route add default via 100.64.0.254
inside carrier ip address add 100.64.0.254/24 dev eth0
inside carrier ip address add 198.51.100.254/24 dev eth1
inside carrier ip route add 203.0.113.0/24 dev eth1
inside carrier sysctl -qw net.ipv4.ip_forward=1
# The public addresses lead nowhere here: what is sent to them must reach no customer.
inside carrier ip route add blackhole 198.51.100.1/32
inside carrier ip route add blackhole 198.51.100.2/32
inside internet ip address add 203.0.113.80/24 dev wan
inside internet ip address add 203.0.113.53/24 dev wan
inside internet ip address add 203.0.113.66/24 dev wan
inside internet ip route add 100.64.0.0/24 via 198.51.100.254 dev wan onlink
inside internet ip route add 198.51.100.0/24 dev wan
inside internet ip neighbour add 198.51.100.1 lladdr 02:00:00:00:01:fe dev wan
inside internet ip neighbour add 198.51.100.2 lladdr 02:00:00:00:01:fe dev wan

mkdir "$scratch/www"
python3 -c "print('<title>Far away</title>' + '<p>A page on the internet.</p>' * 60)" >"$scratch/www/index.html"
serve_web internet 203.0.113.80 "$scratch/www"
serve_dns internet 203.0.113.53

record carrier eth0 in "$scratch/customers.pcap"
record carrier eth1 in "$scratch/internet.pcap"
asking=()
for n in 1 2 3 5 8; do
  inside homes curl -s -m 5 -o /dev/null --interface "100.64.0.$n" http://203.0.113.80/ &
  asking+=($!)
done
wait "${asking[@]}"
for n in 1 2 4 6; do inside homes dig -b "100.64.0.$n" +short @203.0.113.53 example.org >/dev/null; done
inside homes curl -s -m 5 -o /dev/null --interface 100.64.0.1 http://203.0.113.80/
# Two customers who happen to use the same port towards the same server.
for n in 1 5; do
  inside homes curl -s -m 5 -o /dev/null --interface "100.64.0.$n" --local-port 33333 http://203.0.113.80/
done
# One customer asks from more ports than the block has: 64 of 80 can be served.
inside homes python3 "$here/many-ports.py" 100.64.0.7 203.0.113.53 80
inside homes ping -q -c 2 -i 0.2 -I 100.64.0.3 203.0.113.80 >/dev/null
inside homes curl -s -m 5 -o /dev/null --interface 100.64.0.9 http://203.0.113.80/ || true # not a customer
inside homes ping -q -c 1 -W 1 -t 1 -I 100.64.0.2 203.0.113.80 >/dev/null || true
# And nobody outside reaches in, neither through a port in use nor through another one.
inside internet nmap -n -Pn --send-ip -sS -S 203.0.113.66 -e wan -p 1020-1030,1088,1150-1156 --max-retries 0 \
  198.51.100.1 198.51.100.2 >/dev/null 2>&1
stop_recording

cp "$scratch/customers.pcap" "$here/customers.pcap"
python3 "$here/expect.py" "$scratch/internet.pcap"

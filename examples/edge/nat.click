// A NAT: all that leaves home leaves as 192.0.2.1.
//
//   eth0: home, 10.0.0.0/24      eth1: the world, 192.0.2.0/24

AddressInfo(
  gateway 10.0.0.1 02:00:00:00:00:01,             // ours at home
  public 192.0.2.1 02:00:00:00:00:02);            // ours in the world

rewriter :: IPRewriter(pattern 192.0.2.1 1024-65535# - - 0 1, drop);
pings :: ICMPPingRewriter(pattern 192.0.2.1 - 0-65535 0 1, drop);
lost :: Counter -> Discard;

// From home.
FromDevice(eth0) -> home :: Classifier(12/0806 20/0001, 12/0806 20/0002, 12/0800, -);
home[0] -> ARPResponder(gateway) -> to_home :: Queue(1000) -> ToDevice(eth0);
home[1] -> [1] at_home :: ARPQuerier(gateway) -> to_home;
home[2] -> Strip(14) -> CheckIPHeader -> from_home :: IPClassifier(tcp or udp, icmp type echo, -);
home[3] -> lost;
from_home[0] -> [0] rewriter;
from_home[1] -> [0] pings;
from_home[2] -> lost;
rewriter[0] -> out :: Null;
pings[0] -> out;
out -> out_ttl :: DecIPTTL
  -> in_world :: ARPQuerier(public)
  -> to_world :: Queue(1000) -> ToDevice(eth1);
out_ttl[1] -> lost;

// From the world.
FromDevice(eth1) -> world :: Classifier(12/0806 20/0001, 12/0806 20/0002, 12/0800, -);
world[0] -> ARPResponder(public) -> to_world;
world[1] -> [1] in_world;
world[2] -> Strip(14) -> CheckIPHeader
  -> from_world :: IPClassifier(tcp or udp, icmp type echo-reply, -);
world[3] -> lost;
from_world[0] -> [1] rewriter;
from_world[1] -> [1] pings;
from_world[2] -> lost;
rewriter[1] -> in :: Null;
pings[1] -> in;
in -> in_ttl :: DecIPTTL -> at_home;
in_ttl[1] -> lost;

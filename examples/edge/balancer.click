// A load balancer: one address, two web servers behind it, which take turns.
//
//   eth0: the world, which asks 192.0.2.80      eth1: the servers, 198.51.100.0/24
//
// The rewriter remembers which server has a connection; what the server answers comes back from the
// address that was asked.

AddressInfo(
  front 192.0.2.80 02:00:00:00:00:03,             // ours in the world
  back 198.51.100.1 02:00:00:00:00:04);           // ours among the servers

servers :: RoundRobinIPMapper(- - 198.51.100.11 - 0 1, - - 198.51.100.12 - 0 1);
rewriter :: IPRewriter(servers, drop);
lost :: Counter -> Discard;

// From the world.
FromDevice(eth0) -> world :: Classifier(12/0806 20/0001, 12/0806 20/0002, 12/0800, -);
world[0] -> ARPResponder(front) -> to_world :: Queue(1000) -> ToDevice(eth0);
world[1] -> [1] in_world :: ARPQuerier(front) -> to_world;
world[2] -> Strip(14) -> CheckIPHeader
  -> asked :: IPClassifier(dst host 192.0.2.80 && dst tcp port 80,
                           dst host 192.0.2.80 && icmp type echo, -);
world[3] -> lost;
asked[0] -> [0] rewriter;
asked[1] -> ICMPPingResponder -> in_world;
asked[2] -> lost;
rewriter[0] -> asked_ttl :: DecIPTTL
  -> among_servers :: ARPQuerier(back)
  -> to_servers :: Queue(1000) -> ToDevice(eth1);
asked_ttl[1] -> lost;

// From the servers.
FromDevice(eth1) -> servers_say :: Classifier(12/0806 20/0001, 12/0806 20/0002, 12/0800, -);
servers_say[0] -> ARPResponder(back) -> to_servers;
servers_say[1] -> [1] among_servers;
servers_say[2] -> Strip(14) -> CheckIPHeader -> answers :: IPClassifier(src tcp port 80, -);
servers_say[3] -> lost;
answers[0] -> [1] rewriter;
answers[1] -> lost;
rewriter[1] -> answered_ttl :: DecIPTTL -> in_world;
answered_ttl[1] -> lost;

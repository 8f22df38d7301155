// A load balancer: one address, four web servers behind it.
//
//   eth0: the clients        eth1: the servers, 10.0.0.11 to 10.0.0.14
//
// A new connection goes to the server that the two lowest bits of its source port name; the
// rewriter remembers it, so every later packet of the connection goes to the same server, and
// what the server answers comes back from the address that the client asked.

AddressInfo(
  front 02:00:00:00:00:fe,                        // ours, towards the clients
  clients 02:00:00:00:00:01,
  back 02:00:00:00:01:fe,                         // ours, towards the servers
  servers 02:00:00:00:01:01);

rewriter :: IPRewriter(
  pattern - - 10.0.0.11 80 0 1,
  pattern - - 10.0.0.12 80 0 1,
  pattern - - 10.0.0.13 80 0 1,
  pattern - - 10.0.0.14 80 0 1,
  drop);                                          // from the servers: only answers

// From the clients.
FromDevice(eth0)
  -> outside :: Classifier(12/0806 20/0001, 12/0800, -);
outside[0] -> ARPResponder(192.0.2.80 front) -> to_clients :: Queue(1000) -> ToDevice(eth0);
outside[2] -> not_ip :: Counter -> Discard;
outside[1] -> Strip(14)
  -> outside_ip :: CheckIPHeader
  -> service :: IPClassifier(dst host 192.0.2.80 && dst tcp port 80, -);
outside_ip[1] -> bad_ip :: Counter -> Discard;
service[1] -> not_our_service :: Counter -> Discard;

// The low byte of the source port is byte 21 of a packet without IP options.
service[0]
  -> Classifier(21/00%03, 21/01%03, 21/02%03, 21/03%03)
  => first :: Counter, second :: Counter, third :: Counter, fourth :: Counter
  => [0-3] rewriter;

rewriter[0] -> to_servers_ttl :: DecIPTTL
  -> EtherEncap(0x0800, back, servers)
  -> to_servers :: Queue(1000) -> ToDevice(eth1);
to_servers_ttl[1] -> expired :: Counter -> Discard;

// From the servers.
FromDevice(eth1)
  -> inside :: Classifier(12/0806 20/0001, 12/0800, -);
inside[0] -> ARPResponder(10.0.0.254 back) -> to_servers;
inside[2] -> not_ip;
inside[1] -> Strip(14)
  -> inside_ip :: CheckIPHeader
  -> answers :: IPClassifier(src tcp port 80, -) -> [4] rewriter;
inside_ip[1] -> bad_ip;
answers[1] -> not_our_service;

rewriter[1] -> answered :: Counter
  -> to_clients_ttl :: DecIPTTL
  -> EtherEncap(0x0800, front, clients)
  -> to_clients;
to_clients_ttl[1] -> expired;

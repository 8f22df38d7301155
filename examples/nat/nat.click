// A carrier-grade NAT: eight customers share two public addresses.
//
//   eth0: the customers, 100.64.0.1 to 100.64.0.8 (RFC 6598)      eth1: the internet
//
// Every customer owns one block of 128 ports of one public address, half of it for TCP and
// half for UDP, so that a public address, port and time name a customer with no log of every
// connection (RFC 7422), and no customer can use up another's ports. Ports are given out in
// order; a block that is full drops new flows and leaves the old ones alone. A flow that has
// been silent too long gives its port back.

AddressInfo(
  gateway 02:00:00:00:00:fe,                      // ours, on the customers' side
  customers 02:00:00:00:00:01,                    // their switch
  uplink 02:00:00:00:01:fe,                       // ours, towards the internet
  internet 02:00:00:00:01:01);

rewriter :: IPRewriter(
  pattern 198.51.100.1 1024-1087# - - 0 1, pattern 198.51.100.1 1088-1151# - - 0 1,  // 100.64.0.1
  pattern 198.51.100.1 1152-1215# - - 0 1, pattern 198.51.100.1 1216-1279# - - 0 1,  // 100.64.0.2
  pattern 198.51.100.1 1280-1343# - - 0 1, pattern 198.51.100.1 1344-1407# - - 0 1,  // 100.64.0.3
  pattern 198.51.100.1 1408-1471# - - 0 1, pattern 198.51.100.1 1472-1535# - - 0 1,  // 100.64.0.4
  pattern 198.51.100.2 1024-1087# - - 0 1, pattern 198.51.100.2 1088-1151# - - 0 1,  // 100.64.0.5
  pattern 198.51.100.2 1152-1215# - - 0 1, pattern 198.51.100.2 1216-1279# - - 0 1,  // 100.64.0.6
  pattern 198.51.100.2 1280-1343# - - 0 1, pattern 198.51.100.2 1344-1407# - - 0 1,  // 100.64.0.7
  pattern 198.51.100.2 1408-1471# - - 0 1, pattern 198.51.100.2 1472-1535# - - 0 1,  // 100.64.0.8
  drop,                                           // from the internet: only what answers a customer
  TCP_TIMEOUT 7440s, TCP_DONE_TIMEOUT 240s, UDP_TIMEOUT 300s);  // RFC 5382, RFC 4787

// Each customer's TCP and UDP go to that customer's own blocks; nothing else can share an address.
untranslatable :: Counter -> Discard;
not_a_customer :: Counter -> Discard;
c1, c2, c3, c4, c5, c6, c7, c8 :: IPClassifier(tcp, udp, -);
c1[0] ->  [0]rewriter; c1[1] ->  [1]rewriter; c1[2] -> untranslatable;
c2[0] ->  [2]rewriter; c2[1] ->  [3]rewriter; c2[2] -> untranslatable;
c3[0] ->  [4]rewriter; c3[1] ->  [5]rewriter; c3[2] -> untranslatable;
c4[0] ->  [6]rewriter; c4[1] ->  [7]rewriter; c4[2] -> untranslatable;
c5[0] ->  [8]rewriter; c5[1] ->  [9]rewriter; c5[2] -> untranslatable;
c6[0] -> [10]rewriter; c6[1] -> [11]rewriter; c6[2] -> untranslatable;
c7[0] -> [12]rewriter; c7[1] -> [13]rewriter; c7[2] -> untranslatable;
c8[0] -> [14]rewriter; c8[1] -> [15]rewriter; c8[2] -> untranslatable;

// From the customers.
FromDevice(eth0)
  -> inside :: Classifier(12/0806 20/0001, 12/0800, -);
inside[0] -> ARPResponder(100.64.0.254 gateway) -> to_customers :: Queue(1000) -> ToDevice(eth0);
inside[2] -> not_ip :: Counter -> Discard;
inside[1] -> Strip(14)
  -> inside_ip :: CheckIPHeader
  -> from_customers :: Counter
  -> IPClassifier(
       src host 100.64.0.1, src host 100.64.0.2, src host 100.64.0.3, src host 100.64.0.4,
       src host 100.64.0.5, src host 100.64.0.6, src host 100.64.0.7, src host 100.64.0.8, -)
  => c1, c2, c3, c4, c5, c6, c7, c8, not_a_customer;
inside_ip[1] -> bad_ip :: Counter -> Discard;

rewriter[0] -> translated_out :: Counter
  -> out_ttl :: DecIPTTL
  -> EtherEncap(0x0800, uplink, internet)
  -> to_internet :: Queue(1000) -> ToDevice(eth1);
out_ttl[1] -> expired :: Counter -> Discard;

// From the internet.
FromDevice(eth1)
  -> outside :: Classifier(12/0800, -);
outside[1] -> not_ip;
outside[0] -> Strip(14)
  -> outside_ip :: CheckIPHeader
  -> from_internet :: Counter
  -> answers :: IPClassifier(tcp || udp, -) -> [16]rewriter;
outside_ip[1] -> bad_ip;
answers[1] -> untranslatable;

rewriter[1] -> translated_in :: Counter
  -> in_ttl :: DecIPTTL
  -> EtherEncap(0x0800, gateway, customers)
  -> to_customers;
in_ttl[1] -> expired;

// Who talks most, and about what, on a link that it leaves untouched.
//
//   eth0: one direction of a link or a copy of it      eth1: the same frames, all of them
//
// Every frame goes three ways: on, to the counters of hosts, and to those of applications.

FromDevice(eth0)
  -> all :: Counter
  -> copies :: Tee(3);

copies[0] -> Queue(1000) -> ToDevice(eth1);

// By host, whichever end of the conversation it is.
copies[1]
  -> link :: Classifier(12/0800, -);
link[1] -> not_ip :: Counter -> Discard;
link[0] -> ip :: CheckIPHeader(14)
  -> IPClassifier(host 10.1.0.1, host 10.1.0.2, host 10.1.0.3, host 10.1.0.4, -)
  => alice :: Counter, bob :: Counter, carol :: Counter, dave :: Counter, others :: Counter
  -> Discard;
ip[1] -> malformed :: Counter -> Discard;

// By application.
copies[2]
  -> Classifier(12/0800)
  -> CheckIPHeader(14)
  -> IPClassifier(tcp port 80, udp port 53 || tcp port 53, tcp port 22, icmp, -)
  => web :: Counter, dns :: Counter, ssh :: Counter, ping :: Counter, something_else :: Counter
  -> Discard;

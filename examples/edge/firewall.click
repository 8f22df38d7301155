// A firewall between two interfaces that has no address of its own: hosts on both sides think that
// they are on one wire.
//
//   eth0: outside      eth1: inside
//
// From outside come questions by ARP, pings, and connections to the web server's port. What goes
// out is not looked at.

FromDevice(eth0) -> outside :: Classifier(12/0806, 12/0800, -);
outside[0] -> inward :: Queue -> ToDevice(eth1);
outside[1] -> Strip(14)
  -> CheckIPHeader
  -> rules :: IPFilter(allow icmp type echo,
                       allow tcp && dst port 8080,
                       deny all)
  -> passed :: Counter
  -> Unstrip(14)
  -> inward;
outside[2] -> other :: Counter -> Discard;

FromDevice(eth1) -> answered :: Counter -> Queue -> ToDevice(eth0);

-- kresd.lua: Knot Resolver (5) asks leasedns for the names and addresses of virtual machines.
--
-- Where:  /etc/knot-resolver/leasedns.lua, and in kresd.conf there, before other policies, the line
--             dofile('/etc/knot-resolver/leasedns.lua')
--         Then systemctl restart 'kresd@*'
-- Check:  dig @127.0.0.1 vm.libvirt
-- Undo:   remove the line and the file, restart

-- The second: one for each network, so that addresses find their names. STUB, unlike FORWARD, wants
-- no signatures: nobody signs these domains.
policy.add(policy.suffix(policy.STUB('127.0.0.56'),
	policy.todnames({'libvirt.', '122.168.192.in-addr.arpa.'})))

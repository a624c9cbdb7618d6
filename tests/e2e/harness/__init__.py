"""What the end-to-end tests share: a sandbox of namespaces, real programs in it, DNS questions.

Modules: sandbox (namespaces and their end), network (for tests that need no more of it), process
(running programs), tools (what must be installed), libvirt (libvirtd and networks), clients (DHCP
clients), guests (virtual machines), dns (dig and timed questions), leasedns (the program under
test), tree (of a Debian release), booted (such a tree with systemd).
"""

"""What this machine is and allows: its Puppet Server, the rights of this process, where things are kept."""

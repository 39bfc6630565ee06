"""What this machine is and allows: its Puppet Server, the rights of this process and how it gives them up, limits."""

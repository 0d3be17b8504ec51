"""This one machine: files, disk, locks, processes, GPU devices and the leases on them."""

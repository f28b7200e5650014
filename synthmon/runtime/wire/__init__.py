"""HTTP/1.1 on our own sockets, where a prober measures: each phase apart, with the kernel's receive stamps."""

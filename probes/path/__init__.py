"""Which way the packets of a flow go: hops, labels, MTU, and when that changes."""

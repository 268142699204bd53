"""Known faults of a lab network, each with its truth. Small files by what makes them."""

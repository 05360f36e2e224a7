"""Building a graph: what is asked, of whom, and how rows become quanta and edges."""

"""From plain results to text for people."""

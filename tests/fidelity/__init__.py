"""Fidelity: what a program has, before and after a fork, row by row of an inventory."""

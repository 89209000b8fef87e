"""`make demo`: the main job of tcvs from beginning to end on a real desktop, all claims checked."""

"""What goes out: arrays become a labelled Dataset."""

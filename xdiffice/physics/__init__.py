"""What is true: constants, scales, rheology and the shallow-shelf equations."""

"""What is learned: networks whose derivatives are carried forward."""

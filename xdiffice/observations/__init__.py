"""What comes in: a user's Dataset becomes named SI arrays of points."""

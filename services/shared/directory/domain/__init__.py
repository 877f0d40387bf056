"""What a directory is: its fields, what they may hold, how words are found."""

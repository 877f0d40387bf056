"""What is missing on this machine or in an account, each with the command that mends it."""

"""What an environment costs a month, from its templates, list prices and an assumed usage."""

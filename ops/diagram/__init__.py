"""The architecture as pictures, drawn from the synthesized templates."""

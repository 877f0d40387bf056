"""How a stack notes what it read of others; read by the operators' commands too, which load no CDK."""

INPUTS = "Inputs"

"""The networks of EchoMimicV2, with the parameter names of the released files."""

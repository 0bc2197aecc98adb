"""The whole picture: people in it, one cut out, generated, and pasted back; several people and their voices."""

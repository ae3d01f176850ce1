"""What a wearable's motion sensor tells of what its wearer does: a fourth modality, in a package of its own."""

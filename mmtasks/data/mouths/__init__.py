"""Films of speaking mouths: what each sound looks like, how the lips get there, how a face shows it."""

"""What the activator is made of: loading versions, the places they take, and those no longer needed."""

"""Pure functions on arrays and tensors: geometry, people, layers. Know no file of a project, option or network."""

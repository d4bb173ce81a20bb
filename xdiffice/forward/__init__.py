"""How a shelf flows whose viscosity is known: the shallow-shelf equations on finite elements."""

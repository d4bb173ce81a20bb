"""How far data determine a viscosity: what members of an ensemble differ in, and by how much."""
